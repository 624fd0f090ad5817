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

# What a change must save, in errors, over the logarithm of how many runs there are. Simulated for
# 6 to 60 runs: of histories without a change 0 to 3 % seem to have one, and of new levels three
# errors away 80 to 96 % are found, within a run of their place.
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

    Args:
        history: rows of `bench.history.gathering.history`.
    """
    found = [
        change
        for _, series in history.groupby(["trial", "quantity"], sort=False)
        for stretch in stretches(series)
        for change in _of_stretch(stretch)
    ]
    return sorted(found, key=lambda change: (change.run, change.trial, change.quantity))


def stretches(series: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The runs of a series without a break: as long as neither machine nor packages change."""
    ordered = series.sort_values("run")
    breaks = ordered["environment"].ne(ordered["environment"].shift()).cumsum()
    for _, stretch in ordered.groupby(breaks):
        yield stretch


def change_points(values: Array, error: float) -> list[int]:
    """The places at which a new level begins, from values with a common standard error.

    With an error of 0, as of counts, every other value is a new level.
    """
    import ruptures  # takes long to import

    if error == 0:
        return [place for place in range(1, len(values)) if values[place] != values[place - 1]]
    if len(values) < 2 * LEAST_RUNS:
        return []
    search = ruptures.Pelt(model="l1", min_size=LEAST_RUNS, jump=1).fit(values / error)
    *places, _end = search.predict(pen=PENALTY * math.log(len(values)))
    return [int(place) for place in places]


def _of_stretch(stretch: pd.DataFrame) -> Iterator[Change]:
    values = stretch["value"].to_numpy(np.float64)
    places = change_points(values, _error(stretch))
    levels = [float(np.median(level)) for level in np.split(values, places)]
    for place, before, after in zip(places, levels, levels[1:], strict=False):
        row = stretch.iloc[place]
        yield Change(
            row["trial"], row["quantity"], row["unit"], int(row["run"]), row["commit"],
            before, after,
        )  # fmt: skip


def _error(stretch: pd.DataFrame) -> float:
    """By how much a run's value is off: what intervals say, or more where neighbours differ more.

    Of neighbours the differences are taken, which a change of level leaves alone
    but for one; a run's interval does not hold what makes runs differ.
    """
    if QUANTITIES[stretch["quantity"].iloc[0]].is_exact:
        return 0.0
    values = stretch["value"].to_numpy(np.float64)
    steps = spread(np.diff(values)) or 0.0
    half_widths = (stretch["high"] - stretch["low"]).dropna() / 2
    told = float(half_widths.median()) / _REACH if len(half_widths) else 0.0
    return max(told, steps / math.sqrt(2))
