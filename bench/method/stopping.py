"""Simulated runs end as real ones do: by `bench.run.schedule.is_precise`, or with their budget.

Processes arrive one by one. A block ends when all of its arms are precise, as
`bench.run.agenda` has it; no arm is ever alone there, since a control rides
along. It is looked at within a process too, every few seconds, and ends there
with what that process has shown so far, as `bench.run.passes` has it. An arm by
itself, of which only this simulation knows, ends as soon as its own interval
happens to be narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from bench.method.intervals import Candidate
from bench.run.schedule import PROCESSES, is_precise
from bench.stats import Array, Evidence

# As `run` asks for by default, as a fraction.
PRECISION = 0.01
# Of a full block: six variants and a control.
FULL_BLOCK = 7
# In a visit as long as any, `LOOK_EVERY_S` of `bench.run.passes` apart; the last is its end.
LOOKS = 3


@dataclass(frozen=True)
class Rule:
    """When a run ends: between so many processes, as soon as all of its arms are precise.

    ``looks`` is how often that is asked in each process, the last time at its end.
    """

    name: str
    least: int
    most: int
    arms: int = 1
    looks: int = 1


_DEFAULT = (PROCESSES, PROCESSES + 1)  # what the default budget has time for
_PATIENT = (PROCESSES, 3 * PROCESSES)
# With fewer than PROCESSES nothing is precise, so nothing need be asked before.
BLOCKS = (
    Rule("default, block of 7", *_DEFAULT, arms=FULL_BLOCK, looks=LOOKS),
    Rule("patient, block of 7", *_PATIENT, arms=FULL_BLOCK, looks=LOOKS),
    Rule("patient, block of 2", *_PATIENT, arms=2, looks=LOOKS),
)
LONE = (Rule("default, lone arm", *_DEFAULT), Rule("patient, lone arm", *_PATIENT))
FIXED = tuple(Rule(f"{count} processes", count, count) for count in (3, 5, 8))


def stopped(ratios: Array, candidate: Candidate, rule: Rule) -> list[Evidence]:
    """What is known of each run's first arm when the run ends.

    Args:
        ratios: runs, arms, processes, looks, and what a process has shown by then: its
            rounds, or their median alone.
        candidate: how intervals are made.
        rule: when a run ends; it has as many arms and looks, and no more processes.
    """
    ended: dict[int, Evidence] = {}
    for processes, look in product(range(rule.least, rule.most + 1), range(rule.looks)):
        going = [run for run in range(len(ratios)) if run not in ended]
        if not going:
            break
        whole, last = ratios[going, :, : processes - 1, -1], ratios[going, :, processes - 1, look]
        by_arm = np.concatenate((whole, last[:, :, None]), axis=2)
        said = candidate.say(by_arm.reshape(-1, *by_arm.shape[2:]))
        is_last = (processes, look) == (rule.most, rule.looks - 1)
        for run, first in zip(going, range(0, len(said), rule.arms), strict=True):
            arms = said[first : first + rule.arms]
            if is_last or all(is_precise(arm, PRECISION) for arm in arms):
                ended[run] = arms[0]
    return [ended[run] for run in range(len(ratios))]
