"""What the recordings prove: false alarms, finds, coverage and spread of every method.

Pure functions, from recordings to one tidy table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.method.comparisons import METHODS, SUITE, comparisons, complete_sets, pools
from bench.method.lines import Truth
from bench.method.ratios import inside, ratios
from bench.method.recording import Recording
from bench.method.rivals import RIVALS
from bench.method.shares import share
from bench.record import select
from bench.stats import LEVEL, Array, Evidence, Interval, evidence, quotient

PROOF = "proof.csv"
# How spreads are compared: of all comparisons that this suite does not mark as disturbed, of
# those among them whose two models ran one right after the other, and of marked ones too.
SPREADS = ("spread", "adjacent_spread", "spread_of_all")
# Verdicts and rules that are counted.
COUNTED = ("slower", "not_slower", "beyond_margin", "gated")
_RESAMPLES = 2000
# Fewer comparisons than this have no bootstrap interval worth its name.
_LEAST = 5


def proof(recordings: Sequence[Recording], lengths_s: Sequence[float] = ()) -> pd.DataFrame:
    """A row for each condition, size, length of comparison, method and slowdown.

    The equal models share a row, with slowdown 0. Shares come with their count
    and exact interval, and are of all comparisons; what a method does not tell is
    missing. Spreads leave out the comparisons that this suite marks as disturbed,
    for every method the same, where their name does not say ``all``.
    ``alarmed`` are the comparisons, in which equal models share a trunk, that
    called any of these slower.

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


def truths(recording: Recording) -> dict[float, Evidence]:
    """The true ratio of every model, by its slowdown in percent; that of equal models is 1."""
    said = [ratios(line.said) for line in select(recording.lines, Truth)]
    found: dict[float, Evidence] = {}
    for arm, slowed_pct in enumerate(recording.header.parameters.arms_pct):
        known = evidence([np.array([each[arm]]) for each in said])
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
        rivals: rivals, comparisons, equal models; NaN where one does not count.
        ours: comparisons, equal models.
    """

    def times(chosen: NDArray[np.int_]) -> Array:
        best = np.nanstd(rivals[:, chosen], axis=(-2, -1), ddof=1).min(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(best / ours[chosen].std(axis=(-2, -1), ddof=1))

    count = len(ours)
    estimate = float(times(np.arange(count)))
    if (~np.isnan(rivals)).any(axis=2).sum(axis=1).min() < _LEAST:
        return Interval(estimate, -np.inf, np.inf)
    drawn = times(np.random.default_rng(0).integers(count, size=(_RESAMPLES, count)))
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(estimate, float(low), float(high))


def equal_ratios(frame: pd.DataFrame, method: str, *, adjacent: bool = False) -> Array:
    """A method's ratios of equal models: comparisons, equal models.

    NaN where they are to be adjacent to the trunk, and are not.

    Args:
        frame: rows of `bench.method.comparisons.comparisons`.
        method: whose.
        adjacent: only those of models that ran one right after the other.
    """
    rows = frame[(frame["method"] == method) & (frame["slowed_pct"] == 0)]
    ratios = rows.assign(ratio=rows["ratio"].where(rows["adjacent"].eq(True))) if adjacent else rows
    wide = ratios.pivot(index="comparison", columns="arm", values="ratio")
    return wide.to_numpy(np.float64)


def _condition(recording: Recording, frame: pd.DataFrame, pool: int) -> list[dict[str, object]]:
    asked = recording.header.parameters
    sets = complete_sets(recording)
    ours_s = [sum(line.taken_s for line in each.paired) for each in sets]
    theirs_s = [each.sequential.taken_s for each in sets]
    lines = [line for each in sets for line in each.paired]
    of_rounds = [inside(line.said) for line in lines]
    of_all = sum(inside(line.said) * line.said.span_s for line in lines) / sum(ours_s)
    about = {
        "cpu": recording.header.machine.cpu,
        "commit": (recording.header.source.commit or "")[:7] or None,
        "condition": asked.load,
        "waiting": asked.waiting,
        "size": asked.size,
        "arms": len(asked.arms_pct),
        "equal_models": asked.equal_models,
        "threads": asked.threads,
        "processes": pool * asked.processes,
        "comparison_s": pool * asked.length_s,
    }
    more = float(np.mean(ours_s) / np.mean(theirs_s))
    true = truths(recording)
    rows: list[dict[str, object]] = []
    for method in METHODS:
        is_ours = method == SUITE
        cost = {
            "wall_s": pool * float(np.mean(ours_s if is_ours else theirs_s)),
            "inside_pct": 100 * float(np.median(of_rounds)) if is_ours else None,
            "inside_all_pct": 100 * of_all if is_ours else None,
        }
        of_method = frame[frame["method"] == method]
        for slowed_pct, chosen in of_method.groupby("slowed_pct", sort=True):
            slowdown = float(str(slowed_pct))
            row: dict[str, object] = {**about, "method": method, "slowed_pct": slowdown, **cost}
            row |= _row(chosen, true.get(slowdown))
            row |= _alarmed(chosen if slowdown == 0 else None)
            row |= _spreads(frame, method if slowdown == 0 else None)
            # Given the time for it, any of the others would be the closer by its square root.
            for name in ("spread", "spread_of_all"):
                for end in ("over_suite", "low", "high"):
                    found = row[f"{name}_{end}"]
                    row[f"even_{name}_{end}"] = found and float(str(found)) / math.sqrt(more)
            rows.append(row)
    return rows


def _row(chosen: pd.DataFrame, truth: Evidence | None) -> dict[str, object]:
    bounded = chosen.dropna(subset=["low"])
    half_width = (bounded["high"] - bounded["low"]).mean() / 2
    sound = chosen[~chosen["disturbed"]]
    adjacent = sound["adjacent"].dropna().astype(bool)
    row: dict[str, object] = {
        "n": len(chosen),
        "disturbed": int(chosen["disturbed"].sum()),
        **_percent("truth", None if truth is None else truth.interval()),
        "mean_pct": 100 * (float(sound["ratio"].mean()) - 1),
        "sd_pct": 100 * float(sound["ratio"].std(ddof=1)),
        "sd_of_all_pct": 100 * float(chosen["ratio"].std(ddof=1)),
        "adjacent": int(adjacent.sum()) if len(adjacent) else None,
        "adjacent_sd_pct": 100 * float(sound["ratio"][adjacent.index[adjacent]].std(ddof=1)),
        "half_width_pct": 100 * float(half_width),
    }
    for column in COUNTED:
        known = chosen[column].dropna()
        row |= _counted(column, int(known.sum()) if len(known) else None, len(known))
    covered = None
    if truth is not None and len(bounded):
        covered = int(bounded.apply(lambda each: _covers(each, truth), axis=1).sum())
    return row | {"intervals": len(bounded)} | _counted("covered", covered, len(bounded))


def _covers(row: pd.Series, truth: Evidence) -> bool:
    """Whether what was found and the truth may be the same, by the errors of both."""
    if truth.error == 0:
        return bool(row["low"] <= truth.estimate <= row["high"])
    found = Evidence(row["ratio"], row["error"], int(row["degrees"]) + 1)
    return quotient(found, truth).interval().covers(1.0)


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


def _alarmed(equal: pd.DataFrame | None) -> dict[str, object]:
    """In how many comparisons any equal model was called slower."""
    if equal is None or equal["slower"].isna().any():
        return _counted("alarmed", None, 0)
    alarmed = equal.groupby("comparison")["slower"].any()
    return _counted("alarmed", int(alarmed.sum()), len(alarmed))


def _spreads(frame: pd.DataFrame, method: str | None) -> dict[str, object]:
    """A rival's spread over this suite's; in this suite's own row, that of the best rival."""
    if method is None:
        return {f"{name}_{end}": None for name in SPREADS for end in ("over_suite", "low", "high")}
    rivals = RIVALS if method == SUITE else (method,)
    row: dict[str, object] = {}
    for name in SPREADS:
        chosen = frame if name == "spread_of_all" else frame[~frame["disturbed"]]
        adjacent = name == "adjacent_spread"
        theirs = np.stack([equal_ratios(chosen, each, adjacent=adjacent) for each in rivals])
        found = None
        if (~np.isnan(theirs)).sum(axis=(1, 2)).min() > 1:
            found = spread_over(theirs, equal_ratios(chosen, SUITE))
        bounded = found is not None and found.is_bounded
        row |= {
            f"{name}_over_suite": None if found is None else found.estimate,
            f"{name}_low": found.low if found is not None and bounded else None,
            f"{name}_high": found.high if found is not None and bounded else None,
        }
    return row
