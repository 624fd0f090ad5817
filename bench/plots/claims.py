"""What the intervals carry: which variants a text may call slower, and when it may name extremes.

A variant is slower than the trunk if its verdict says so. Of rows without one,
as medians of rows are, the 95 % interval must lie above 0 and above what the
control arm, a second trunk, seemed to cost in the same block. A row
that lacks an interval, its own or its control's, carries no claim: it is
neither slower nor does it count among those that could have been.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.plots import rows as of


@dataclass(frozen=True)
class Extremes:
    """The variants of least and most overhead, known to differ."""

    least: pd.Series
    most: pd.Series


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of which something can be claimed, with their overheads as floats."""
    return rows.assign(**of.overheads(rows)).dropna(subset=list(of.OVERHEADS))


def slower(rows: pd.DataFrame) -> pd.Series:
    """Which rows are slower than the trunk beyond noise."""
    known = of.overheads(rows)
    # NaN is above nothing; clip() would make 0 of the noise that nobody measured.
    if "verdict" in known:
        return known["verdict"] == "slower"
    floor = np.maximum(known["noise_high_pct"], 0.0)
    return known["overhead_low_pct"] > floor


def extremes(rows: pd.DataFrame) -> Extremes | None:
    """The least and the most, if their intervals are apart and the most is beyond noise.

    Two variants of different blocks differ by their blocks' noise too: as long
    as the most costly may be no slower than a trunk, it may be as fast as any.
    """
    known = judged(rows)
    if known.empty:
        return None
    by_cost = known.sort_values("overhead_pct", kind="stable")
    least, most = by_cost.iloc[0], by_cost.iloc[-1]
    is_apart = least["overhead_high_pct"] < most["overhead_low_pct"]
    return Extremes(least, most) if is_apart and slower(by_cost).iloc[-1] else None


def tally(rows: pd.DataFrame) -> str:
    """How many of the measured variants are slower than the trunk, as a sentence."""
    known = judged(rows)
    count, total = int(slower(known).sum()), len(known)
    if total == 0:
        return "No variant has an interval yet, so none can be told from the trunk"
    whose = f"{total} variants"
    if total < of.number(rows, "overhead_pct").notna().sum():
        whose = f"{total} variant{'s' if total > 1 else ''} with an interval"
    elif total == 1:
        name = known["se"].iloc[0]
        told = "is slower than the trunk" if count else "cannot be told from the trunk"
        return f"{name} {told} beyond noise"
    if count == total > 1:
        return f"All {whose} are slower than the trunk beyond noise"
    verb = "are" if count > 1 else "is"
    return f"{count or 'None'} of {whose} {verb} slower than the trunk beyond noise"
