"""Where a series of runs has changed for good, within one environment each.

Change points are those of PELT (Killick et al., JASA 107, 2012), as `ruptures`
has it, for changes of the median, so that a single run that is off moves no level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from bench.quantities import QUANTITIES
from bench.stats import Array, spread

# What a change must save, in errors, over the logarithm of how many runs there are; so that few
# histories without a change seem to have one, and most new levels three errors away are found.
PENALTY = 2.0
# So many runs make a level: a single one that is off is no change yet.
LEAST_RUNS = 2
# Half an interval's width over the standard error, for the processes that a run has.
_REACH = float(stdtrit(7, 0.975))


@dataclass(frozen=True)
class Change:
    """A quantity of a trial has been another from ``run`` on; levels are medians, in its unit."""

    trial: str
    quantity: str
    unit: str
    run: int
    commit: str | None
    before: float
    after: float

    @property
    def percent(self) -> float:
        """By how much it has changed, in percent of what it was; of percents, their difference."""
        if self.unit == "%":
            return self.after - self.before
        return 100 * (self.after / self.before - 1) if self.before else math.inf


def changes(history: pd.DataFrame) -> list[Change]:
    """The changes of every trial and quantity, in the order of the runs.

    Times that were measured apart in time are not held against each other.

    Args:
        history: rows of `bench.history.gathering.history`.
    """
    found = [
        change
        for _, series in history.groupby(["trial", "quantity"], sort=False)
        if not QUANTITIES[series["quantity"].iloc[0]].drifts
        for stretch in stretches(series)
        for change in _of_stretch(stretch, history["trial"].nunique())
    ]
    return sorted(found, key=lambda change: (change.run, change.trial, change.quantity))


def stretches(series: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The runs of a series without a break: as long as neither machine nor packages change."""
    ordered = series.sort_values("run")
    breaks = ordered["environment"].ne(ordered["environment"].shift()).cumsum()
    for _, stretch in ordered.groupby(breaks):
        yield stretch


def change_points(values: Array, error: float | None, series: int = 1) -> list[int]:
    """The places at which a new level begins, in one of so many series.

    Args:
        values: in the order of the runs.
        error: their common standard error; None if they are counted, and any difference counts.
        series: that are searched, each of which chance may change.
    """
    import ruptures  # takes long to import

    if error is None:
        return [place for place in range(1, len(values)) if values[place] != values[place - 1]]
    if len(values) < 2 * LEAST_RUNS or error == 0:
        return []
    search = ruptures.Pelt(model="l1", min_size=LEAST_RUNS, jump=1).fit(values / error)
    penalty = PENALTY * math.log(len(values)) + math.log(series)
    *places, _end = search.predict(pen=penalty)
    return [int(place) for place in places]


def _of_stretch(stretch: pd.DataFrame, series: int) -> Iterator[Change]:
    values = stretch["value"].to_numpy(np.float64)
    places = change_points(values, _error(stretch), series)
    levels = [float(np.median(level)) for level in np.split(values, places)]
    for place, before, after in zip(places, levels, levels[1:], strict=False):
        row = stretch.iloc[place]
        yield Change(
            row["trial"], row["quantity"], row["unit"], int(row["run"]), row["commit"],
            before, after,
        )  # fmt: skip


def _error(stretch: pd.DataFrame) -> float | None:
    """By how much a run's value is off, None for what is counted.

    That is what intervals say, or more where neighbours differ by more.
    Of neighbours the differences are taken, which a change of level leaves alone
    but for one; a run's interval does not hold what makes runs differ.
    """
    if QUANTITIES[stretch["quantity"].iloc[0]].is_exact:
        return None
    values = stretch["value"].to_numpy(np.float64)
    steps = spread(np.diff(values)) or 0.0
    half_widths = (stretch["high"] - stretch["low"]).dropna() / 2
    told = float(half_widths.median()) / _REACH if len(half_widths) else 0.0
    return max(told, steps / math.sqrt(2))
