"""What the recordings prove: false alarms, finds, coverage and spread of every method.

Pure functions, from recordings to one tidy table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.method.comparisons import METHODS, SUITE, comparisons, pools
from bench.method.lines import Paired, Truth
from bench.method.recording import Recording
from bench.method.rivals import RIVALS
from bench.record import select
from bench.stats import LEVEL, Array, Evidence, Interval, evidence

PROOF = "proof.csv"
_RESAMPLES = 2000
# Fewer comparisons than this have no bootstrap interval worth its name.
_LEAST = 5


@dataclass(frozen=True)
class Share:
    """So many of so many, with the exact 95 % interval (Clopper and Pearson)."""

    count: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.n


def proof(recordings: Sequence[Recording], lengths_s: Sequence[float] = ()) -> pd.DataFrame:
    """A row for each condition, size, length of comparison, method and slowdown.

    The equal models share a row, with slowdown 0. Shares come with their
    exact interval; what a method does not tell is missing.

    Args:
        recordings: one per condition and size.
        lengths_s: of the comparisons that sets taken together make; where there
            are too few sets, there is none. A set by itself always makes one.
    """
    rows: list[dict[str, object]] = []
    for recording in recordings:
        for pool in pools(recording, lengths_s):
            frame = comparisons(recording, pool)
            if not frame.empty:
                rows += _condition(recording, frame, pool)
    return pd.DataFrame(rows)


def share(count: int, n: int) -> Share:
    """With its interval; ``n`` is positive."""
    from scipy.stats import binomtest  # takes long to import

    exact = binomtest(count, n).proportion_ci(LEVEL, method="exact")
    return Share(count, n, float(exact.low), float(exact.high))


def truths(recording: Recording) -> dict[float, Evidence]:
    """The true ratio of every model, by its slowdown in percent; that of equal models is 1."""
    lines = list(select(recording.lines, Truth))
    found: dict[float, Evidence] = {}
    for arm, slowed_pct in enumerate(recording.header.parameters.arms_pct):
        known = evidence([np.array([line.said.ratios[arm]]) for line in lines])
        if not slowed_pct:
            found[slowed_pct] = Evidence(1.0, 0.0, 2)
        elif known is not None:
            found[slowed_pct] = known
    return found


def spread_over(rivals: Array, ours: Array) -> Interval:
    """How many times as far as ours the best rival's ratios of equal models spread.

    The standard deviation of the best over ours, with a bootstrap interval
    over comparisons; which rival is best is decided anew in each resample,
    which favours the rivals.

    Args:
        rivals: rivals, comparisons, equal models.
        ours: comparisons, equal models.
    """

    def times(chosen: NDArray[np.int_]) -> Array:
        best = rivals[:, chosen].std(axis=(-2, -1), ddof=1).min(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(best / ours[chosen].std(axis=(-2, -1), ddof=1))

    count = len(ours)
    estimate = float(times(np.arange(count)))
    if count < _LEAST:
        return Interval(estimate, -math.inf, math.inf)
    drawn = times(np.random.default_rng(0).integers(count, size=(_RESAMPLES, count)))
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(estimate, float(low), float(high))


def _condition(recording: Recording, frame: pd.DataFrame, pool: int) -> list[dict[str, object]]:
    asked = recording.header.parameters
    about = {
        "condition": asked.load,
        "waiting": asked.waiting,
        "size": asked.size,
        "arms": len(asked.arms_pct),
        "threads": asked.threads,
        "processes": pool * asked.processes,
        "comparison_s": pool * asked.length_s,
    }
    true = truths(recording)
    inside = np.median([line.said.inside for line in select(recording.lines, Paired)])
    rows: list[dict[str, object]] = []
    for method in METHODS:
        of_method = frame[frame["method"] == method]
        for slowed_pct, chosen in of_method.groupby("slowed_pct", sort=True):
            slowdown = float(str(slowed_pct))
            row: dict[str, object] = {**about, "method": method, "slowed_pct": slowdown}
            row |= _row(chosen, true.get(slowdown))
            row |= _spread(frame, method if slowdown == 0 else None)
            row["inside_pct"] = 100 * float(inside) if method == SUITE else None
            rows.append(row)
    return rows


def _row(chosen: pd.DataFrame, truth: Evidence | None) -> dict[str, object]:
    bounded = chosen.dropna(subset=["low"])
    half_width = (bounded["high"] - bounded["low"]).mean() / 2
    adjacent = chosen["adjacent"].dropna().astype(bool)
    row: dict[str, object] = {
        "n": len(chosen),
        **_percent("truth", None if truth is None else truth.interval()),
        "mean_pct": 100 * (float(chosen["ratio"].mean()) - 1),
        "sd_pct": 100 * float(chosen["ratio"].std(ddof=1)),
        "adjacent": int(adjacent.sum()) if len(adjacent) else None,
        "adjacent_sd_pct": 100 * float(chosen["ratio"][adjacent.index[adjacent]].std(ddof=1)),
        "half_width_pct": 100 * float(half_width),
    }
    for column in ("flagged", "gated", "not_slower"):
        known = chosen[column].dropna()
        row |= _counted(column, int(known.sum()) if len(known) else None, len(known))
    covered = None
    if truth is not None and len(bounded):
        covered = int(
            ((bounded["low"] <= truth.estimate) & (truth.estimate <= bounded["high"])).sum()
        )
    return row | {"intervals": len(bounded)} | _counted("covered", covered, len(bounded))


def _percent(name: str, ratio: Interval | None) -> dict[str, object]:
    if ratio is None:
        return {f"{name}_pct": None, f"{name}_low_pct": None, f"{name}_high_pct": None}
    overhead = ratio.scaled(100, -100)
    low, high = (overhead.low, overhead.high) if overhead.is_bounded else (None, None)
    return {f"{name}_pct": overhead.estimate, f"{name}_low_pct": low, f"{name}_high_pct": high}


def _counted(name: str, count: int | None, n: int) -> dict[str, object]:
    if count is None:
        return dict.fromkeys((name, f"{name}_share", f"{name}_low", f"{name}_high"))
    found = share(count, n)
    return {
        name: count,
        f"{name}_share": found.value,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
    }


def _spread(frame: pd.DataFrame, method: str | None) -> dict[str, object]:
    """A rival's spread over this suite's; in this suite's own row, that of the best rival."""
    if method is None:
        return dict.fromkeys(("spread_over_suite", "spread_low", "spread_high"))
    rivals = RIVALS if method == SUITE else (method,)
    found = spread_over(
        np.stack([equal_ratios(frame, rival) for rival in rivals]), equal_ratios(frame, SUITE)
    )
    low, high = (found.low, found.high) if found.is_bounded else (None, None)
    return {"spread_over_suite": found.estimate, "spread_low": low, "spread_high": high}


def equal_ratios(frame: pd.DataFrame, method: str) -> Array:
    """A method's ratios of equal models: comparisons, equal models."""
    rows = frame[(frame["method"] == method) & (frame["slowed_pct"] == 0)]
    return rows.pivot(index="comparison", columns="arm", values="ratio").to_numpy(np.float64)
