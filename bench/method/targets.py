"""What the method is to reach, and what the recordings say it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.method.comparisons import SUITE
from bench.method.shares import Share, share

# Equal models' ratios spread so many times as far by the best of the others.
SPREAD = 5.0
# At most so many of equal models are called slower, of so many comparisons at least.
FALSE_ALARMS, COMPARISONS = 0.01, 200
# In comparisons of a minute so many of these slowdowns are found, by condition, and no more of
# them are called not slower than the last says.
MINUTE_S = 60.0
FOUND = {"quiet": (2.0, 0.95), "loaded": (3.0, 0.90)}
DENIED = 0.02
# Of the time from the first round of a process to its last.
INSIDE_PCT = 85.0


@dataclass(frozen=True)
class Target:
    """What is asked for, and what was found; ``met`` is by the share itself, not its interval."""

    asked: str
    condition: str
    found: str
    met: bool


def targets(frame: pd.DataFrame) -> list[Target]:
    """Every target, for each recording that has something to say of it.

    Args:
        frame: rows of `bench.method.proof.proof`.
    """
    ours = frame[frame["method"] == SUITE]
    equal = ours[ours["slowed_pct"] == 0]
    if equal.empty:
        return []
    by_length = equal.sort_values("comparison_s", kind="stable")
    shortest = by_length.drop_duplicates(["size", "condition"]).sort_index()
    minute = equal[equal["comparison_s"] == MINUTE_S]
    return [
        *_spreads(shortest),
        _false_alarms(shortest, "shortest comparisons"),
        *([_false_alarms(minute, f"{MINUTE_S:g} s")] if len(minute) else []),
        *_found(ours[ours["comparison_s"] == MINUTE_S]),
        *_inside(shortest),
    ]


def condition(row: pd.Series) -> str:
    """What a recording is of."""
    return f"{row['condition']}, {row['size']} px"


def _spreads(shortest: pd.DataFrame) -> Iterator[Target]:
    for _, row in shortest.dropna(subset=["even_spread_over_suite"]).iterrows():
        found = f"{times(row, 'even_spread')} times"
        if row["disturbed"]:
            found += f"; with those marked {times(row, 'even_spread_of_all')} times"
        yield Target(
            f"ratios of equal models spread at least {SPREAD:g} times as far by the best of the "
            "others, given as much wall time, starting included",
            f"{condition(row)}, {row['comparison_s']:g} s",
            found,
            bool(row["even_spread_over_suite"] >= SPREAD),
        )


def times(row: pd.Series, name: str) -> str:
    """How many times as far the others spread, by that name, with its interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "" if pd.isna(low) else f" [{low:.1f}, {high:.1f}]"
    return f"{row[f'{name}_over_suite']:.1f}{interval}"


def _false_alarms(equal: pd.DataFrame, which: str) -> Target:
    known = share(int(equal["slower"].sum()), int(equal["n"].sum()))
    return Target(
        f"at most {100 * FALSE_ALARMS:g} % of equal models called slower, over at least "
        f"{COMPARISONS} comparisons",
        f"all, {which}",
        of(known),
        known.value <= FALSE_ALARMS and known.n >= COMPARISONS,
    )


def _found(minute: pd.DataFrame) -> Iterator[Target]:
    for _, row in minute.iterrows():
        slowed_pct, least = FOUND[row["condition"]]
        if row["slowed_pct"] != slowed_pct:
            continue
        found, denied = (share(int(row[name]), row["n"]) for name in ("slower", "not_slower"))
        where = f"{condition(row)}, {MINUTE_S:g} s"
        yield Target(
            f"a real {slowed_pct:g} % found in at least {100 * least:g} % of comparisons",
            where, of(found), found.value >= least,
        )  # fmt: skip
        yield Target(
            f"and called not slower in at most {100 * DENIED:g} %",
            where, of(denied), denied.value <= DENIED,
        )  # fmt: skip


def _inside(shortest: pd.DataFrame) -> Iterator[Target]:
    for _, row in shortest.iterrows():
        yield Target(
            f"at least {INSIDE_PCT:g} % of measuring time inside timed forwards",
            condition(row),
            f"{row['inside_pct']:.1f} %; {row['inside_all_pct']:.0f} % of all time, starting "
            "included",
            bool(row["inside_pct"] >= INSIDE_PCT),
        )


def of(known: Share) -> str:
    """So many of so many, in percent, with the exact interval."""
    low, high = 100 * known.low, 100 * known.high
    return f"{known.count}/{known.n} = {100 * known.value:.1f} [{low:.1f}, {high:.1f}]"
