"""From recorded sets to comparisons: what each method says of a model against the trunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.method.lines import Paired, Sequential
from bench.method.recording import Recording
from bench.method.rivals import RIVALS, Told
from bench.record import select
from bench.stats import Evidence, evidence, quotient
from bench.verdict import MARGIN, judge

SUITE = "this suite"
METHODS = (SUITE, *RIVALS)
# What continuous integration often asks of a benchmark before it fails.
GATE = 0.05


@dataclass(frozen=True)
class Set:
    """The processes of one comparison by every method."""

    paired: tuple[Paired, ...]
    sequential: Sequential


def complete_sets(recording: Recording) -> list[Set]:
    """In their order; a set that the end of the budget cut short is left out."""
    wanted = recording.header.parameters.processes
    alone = {line.set: line for line in select(recording.lines, Sequential)}
    paired: dict[int, list[Paired]] = {}
    for line in select(recording.lines, Paired):
        paired.setdefault(line.set, []).append(line)
    return [
        Set(tuple(paired[number]), alone[number])
        for number in sorted(paired)
        if number in alone and len(paired[number]) == wanted
    ]


def pools(recording: Recording, lengths_s: Sequence[float]) -> list[int]:
    """How many sets make a comparison: one, and as many as last about so long."""
    length_s = recording.header.parameters.length_s
    return sorted({1, *(max(1, round(wanted_s / length_s)) for wanted_s in lengths_s)})


def comparisons(recording: Recording, pool: int = 1) -> pd.DataFrame:
    """A row for each method, arm and comparison of ``pool`` sets taken together.

    ``ratio`` is the arm's to the trunk, with its 95 % interval, whose ends are
    missing where nothing bounds it. ``flagged`` is this suite's verdict
    *slower*, or a rival's ratio beyond the suite's margin. Of rivals, ``gated``
    is a ratio beyond the gate's; of this suite, ``not_slower`` is the verdict.
    ``adjacent`` tells of rivals whether the arm always ran right before or after the trunk.
    """
    return pd.DataFrame(list(_rows(recording, pool)))


def suite_says(sets: Sequence[Set], arm: int) -> Evidence:
    """This suite's evidence: medians of all processes, of each set and of all sets."""
    medians = [np.array([line.said.ratios[arm]]) for each in sets for line in each.paired]
    found = evidence(medians)
    assert found is not None  # a set has processes
    return found


def rival_says(sets: Sequence[Set], rival: str, arm: int) -> Evidence:
    """One time over another, as a rival tells them."""
    told = [each.sequential.said.told[rival] for each in sets]
    return quotient(pooled([arms[arm] for arms in told]), pooled([arms[0] for arms in told]))


def pooled(told: Sequence[Told]) -> Evidence:
    """The mean of what a tool said several times; errors add in squares."""
    estimate = float(np.mean([each.value_s for each in told]))
    errors_s = [each.error_s for each in told if each.error_s is not None]
    if len(errors_s) < len(told):
        return Evidence(estimate, math.inf, 1)
    error_s = math.sqrt(sum(error**2 for error in errors_s)) / len(told)
    return Evidence(estimate, error_s, sum(each.samples for each in told))


def _rows(recording: Recording, pool: int) -> Iterator[dict[str, object]]:
    sets = complete_sets(recording)
    slowed = list(enumerate(recording.header.parameters.arms_pct))[1:]
    for number in range(len(sets) // pool):
        chosen = sets[number * pool : (number + 1) * pool]
        for arm, slowed_pct in slowed:
            about = {"comparison": number, "arm": arm, "slowed_pct": slowed_pct}
            known = suite_says(chosen, arm)
            verdict = judge([known])[0]
            yield {
                "method": SUITE, **about, **_interval(known), "flagged": verdict == "slower",
                "gated": None, "not_slower": verdict == "not slower", "adjacent": None,
            }  # fmt: skip
            adjacent = all(each.sequential.said.is_next_to_trunk(arm) for each in chosen)
            for rival in RIVALS:
                known = rival_says(chosen, rival, arm)
                yield {
                    "method": rival, **about, **_interval(known),
                    "flagged": known.estimate > 1 + MARGIN, "gated": known.estimate > 1 + GATE,
                    "not_slower": None, "adjacent": adjacent,
                }  # fmt: skip


def _interval(known: Evidence) -> dict[str, float]:
    interval = known.interval()
    low, high = (interval.low, interval.high) if interval.is_bounded else (math.nan, math.nan)
    return {"ratio": known.estimate, "low": low, "high": high}
