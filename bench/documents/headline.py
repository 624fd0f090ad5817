"""README's first sentences: what SE costs, as far as intervals and noise carry it."""

from __future__ import annotations

import pandas as pd

from bench.plots import claims
from bench.table import is_disturbed


def headline(frame: pd.DataFrame) -> str:
    """What SE as published costs, then what can be said of all ways of having it."""
    frame = frame[frame["path"] == "eager"]
    measured = frame[(frame["placement"] != "none") & frame["overhead_pct"].notna()]
    full = measured[(measured["stages"] == "1+2+3+4") & (measured["blocks"] == "all")]
    if full.empty:
        raise ValueError("the records must hold the overhead of SE in every block")
    published = full[full["se"] == "standard-r16"]
    if published.empty:
        return f"{_range(full)}\n"
    trunk = frame[frame["placement"] == "none"].iloc[0]
    return f"{_published(published, trunk)} {_range(full)}\n"


def _published(rows: pd.DataFrame, trunk: pd.Series) -> str:
    """The arithmetic, which is counted; the time only as far as interval and noise carry it."""
    row = rows.iloc[0]
    arithmetic = (
        f"SE as published (`standard`, r = 16) adds {100 * (row['flops'] / trunk['flops'] - 1):.2f}"
        f" % arithmetic to a {row['architecture']}"
    )
    cost = _overhead(row)
    if claims.slower(rows).iloc[0]:
        return f"{arithmetic} and {cost} time."
    if is_disturbed(row):
        return f"{arithmetic}; its cost in time, {cost}, was measured in a breakdown."
    if pd.isna(row["overhead_low_pct"]):
        return f"{arithmetic}; its cost in time, {cost}, has no interval."
    if claims.judged(rows).empty:
        return f"{arithmetic}; its cost in time, {cost}, has no control to be held against."
    return (
        f"{arithmetic}; its cost in time, {cost}, cannot be told from what two equal models differ "
        f"by here, [{row['noise_low_pct']:.1f}, {row['noise_high_pct']:.1f}] %."
    )


def _range(full: pd.DataFrame) -> str:
    """From the cheapest to the dearest where they are apart, else how many cost anything."""
    found = claims.extremes(full)
    if found is None:
        tally = claims.tally(full)
        return f"Over all placements and ratios, {tally[0].lower()}{tally[1:]}."
    return (
        f"Over all placements and ratios the price runs from {_overhead(found.least)} "
        f"(`{found.least['se']}`) to {_overhead(found.most)} (`{found.most['se']}`)."
    )


def _overhead(row: pd.Series) -> str:
    estimate = f"{row['overhead_pct']:.1f} %"
    if pd.isna(row["overhead_low_pct"]):
        return estimate
    return f"{estimate} [{row['overhead_low_pct']:.1f}, {row['overhead_high_pct']:.1f}]"
