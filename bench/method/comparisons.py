"""From recorded sets to comparisons: what each method says of a model against the trunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.breakdown import Signs, is_breakdown, suffices
from bench.method import ratios
from bench.method.lines import Paired, Sequential
from bench.method.recording import Recording
from bench.method.rivals import RIVALS, Told, all_told
from bench.record import select
from bench.stats import Array, Evidence, evidence, quotient
from bench.verdict import MARGIN, Verdict, differing, judge

SUITE = "this suite"
METHODS = (SUITE, *RIVALS)
# What continuous integration often asks of a benchmark before it fails.
GATE = 0.05


@dataclass(frozen=True)
class Set:
    """The processes of one comparison by every method.

    Attributes:
        paired: those in rounds, of so many ``threads``.
        sequential: the one in which each arm ran by itself, for ``alone_s``.
    """

    paired: tuple[Paired, ...]
    sequential: Sequential
    alone_s: float
    threads: int

    @cached_property
    def ratios(self) -> Array:
        """What each process in rounds says of each arm: processes, arms."""
        return np.stack([ratios.ratios(line.said) for line in self.paired])

    @cached_property
    def signs(self) -> list[Signs]:
        """What each process in rounds tells of the machine."""
        return [ratios.signs(line.said, self.threads) for line in self.paired]

    @cached_property
    def told(self) -> list[dict[str, Told]]:
        """What each rival says of each arm."""
        said = self.sequential.said
        return [
            all_told(1e-9 * np.array(each), self.alone_s, said.timer_overhead_s)
            for each in said.wall_ns
        ]


def complete_sets(recording: Recording) -> list[Set]:
    """In their order; a set that the end of the budget cut short is left out."""
    asked = recording.header.parameters
    alone = {line.set: line for line in select(recording.lines, Sequential)}
    paired: dict[int, list[Paired]] = {}
    for line in select(recording.lines, Paired):
        paired.setdefault(line.set, []).append(line)
    alone_s = asked.length_s / len(asked.arms_pct)
    return [
        Set(tuple(paired[number]), alone[number], alone_s, asked.threads)
        for number in sorted(paired)
        if number in alone and len(paired[number]) == asked.processes
    ]


def pools(recording: Recording, lengths_s: Sequence[float]) -> list[int]:
    """How many sets make a comparison: one, and as many as last about so long."""
    length_s = recording.header.parameters.length_s
    return sorted({1, *(max(1, round(wanted_s / length_s)) for wanted_s in lengths_s)})


def comparisons(recording: Recording, pool: int = 1) -> pd.DataFrame:
    """A row for each method, arm and comparison of ``pool`` sets taken together.

    ``ratio`` is the arm's to the trunk, with its standard error and 95 %
    interval, whose ends are missing where nothing bounds it. ``slower`` and
    ``not_slower`` are this suite's verdicts; of rivals they are the same rule's
    on the error that follows from what they print. Of rivals, ``beyond_margin``
    and ``gated`` are a ratio beyond the suite's margin and beyond the gate's, and
    ``adjacent`` tells whether the arm always ran right before or after the trunk.
    ``disturbed`` are comparisons that this suite marks: most of its processes were
    in a breakdown.
    """
    return pd.DataFrame(list(_rows(recording, pool)))


def suite_says(sets: Sequence[Set], arm: int) -> Evidence:
    """This suite's evidence: the processes of all sets, but for those in a breakdown.

    Where these are most, all are counted, and `is_disturbed` says so.
    """
    said = np.concatenate([each.ratios for each in sets])[:, arm]
    counted = said if is_disturbed(sets) else said[~_broken(sets)]
    found = evidence([np.array([ratio]) for ratio in counted])
    assert found is not None  # a set has processes
    return found


def is_disturbed(sets: Sequence[Set]) -> bool:
    """Whether too many of the processes were in a breakdown for the others to speak for them."""
    broken = _broken(sets)
    return not suffices(int((~broken).sum()), len(broken))


def suite_judges(sets: Sequence[Set], arm: int, controls: Sequence[int]) -> Verdict:
    """This suite's verdict on an arm; undecided where disturbed, or its control differs.

    The control is an equal model that is not the arm itself; it differs from the trunk.
    """
    if is_disturbed(sets):
        return "undecided"
    control = next(each for each in controls if each != arm)
    if differing([suite_says(sets, control)])[0]:
        return "undecided"
    return judge([suite_says(sets, arm)])[0]


def rival_says(sets: Sequence[Set], rival: str, arm: int) -> Evidence:
    """One time over another, as a rival tells them.

    Of one set, with the errors that it prints; of several, their mean, and the
    error by which the sets' ratios differ, which holds all that moves a process.
    """
    each = [quotient(_of(one, rival, arm), _of(one, rival, 0)) for one in sets]
    if len(each) == 1:
        return each[0]
    found = evidence([np.array([one.estimate]) for one in each])
    assert found is not None
    return found


def _broken(sets: Sequence[Set]) -> NDArray[np.bool_]:
    """Which of the processes of all sets were in a breakdown."""
    signs = [each for one in sets for each in one.signs]
    best_s = min(each.trunk_s for each in signs)
    return np.array([is_breakdown(each, best_s) for each in signs])


def _of(one: Set, rival: str, arm: int) -> Evidence:
    told = one.told[arm][rival]
    if told.error_s is None:
        return Evidence(told.value_s, math.inf, 1)
    return Evidence(told.value_s, told.error_s, told.samples)


def _rows(recording: Recording, pool: int) -> Iterator[dict[str, object]]:
    sets = complete_sets(recording)
    asked = recording.header.parameters
    arms = list(enumerate(asked.arms_pct))[1:]
    controls = [arm for arm, slowed_pct in arms if not slowed_pct]
    for number in range(len(sets) // pool):
        chosen = sets[number * pool : (number + 1) * pool]
        disturbed = is_disturbed(chosen)
        for arm, slowed_pct in arms:
            about = {
                "comparison": number, "arm": arm, "slowed_pct": slowed_pct,
                "disturbed": disturbed,
            }  # fmt: skip
            verdict = suite_judges(chosen, arm, controls)
            yield {
                "method": SUITE, **about, **_told(suite_says(chosen, arm)),
                "slower": verdict == "slower", "not_slower": verdict == "not slower",
                "beyond_margin": None, "gated": None, "adjacent": None,
            }  # fmt: skip
            adjacent = all(each.sequential.said.is_next_to_trunk(arm) for each in chosen)
            for rival in RIVALS:
                known = rival_says(chosen, rival, arm)
                verdict = judge([known])[0]
                yield {
                    "method": rival, **about, **_told(known),
                    "slower": verdict == "slower", "not_slower": verdict == "not slower",
                    "beyond_margin": known.estimate > 1 + MARGIN,
                    "gated": known.estimate > 1 + GATE, "adjacent": adjacent,
                }  # fmt: skip


def _told(known: Evidence) -> dict[str, float]:
    interval = known.interval()
    low, high = (interval.low, interval.high) if interval.is_bounded else (math.nan, math.nan)
    return {
        "ratio": known.estimate,
        "error": known.error,
        "degrees": known.processes - 1,
        "low": low,
        "high": high,
    }
