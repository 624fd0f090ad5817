"""Simulated runs end as real ones do: by `bench.run.schedule.is_precise`, or with their budget.

Processes arrive one by one. A block ends when all of its arms are precise, as
`bench.run.agenda` has it; no arm is ever alone there, since a control rides
along. An arm by itself, of which only this simulation knows, ends as soon as
its own interval happens to be narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.method.intervals import Candidate
from bench.run.schedule import PROCESSES, is_precise
from bench.stats import Array, Evidence

# As `run` asks for by default, as a fraction.
PRECISION = 0.01
# Of a full block: six variants and a control.
FULL_BLOCK = 7


@dataclass(frozen=True)
class Rule:
    """When a run ends: between so many processes, as soon as all of its arms are precise."""

    name: str
    least: int
    most: int
    arms: int = 1


_DEFAULT = (PROCESSES, PROCESSES + 1)  # what the default budget has time for
_PATIENT = (PROCESSES, 3 * PROCESSES)
# With fewer than PROCESSES nothing is precise, so nothing need be asked before.
BLOCKS = (
    Rule("default, block of 7", *_DEFAULT, arms=FULL_BLOCK),
    Rule("patient, block of 7", *_PATIENT, arms=FULL_BLOCK),
    Rule("patient, block of 2", *_PATIENT, arms=2),
)
LONE = (Rule("default, lone arm", *_DEFAULT), Rule("patient, lone arm", *_PATIENT))
FIXED = tuple(Rule(f"{count} processes", count, count) for count in (3, 5, 8))


def stopped(ratios: Array, candidate: Candidate, rule: Rule) -> list[Evidence]:
    """What is known of each run's first arm when the run ends.

    Args:
        ratios: runs, arms, processes, rounds; more arms or processes than the rule's are not used.
        candidate: how intervals are made.
        rule: when a run ends.
    """
    ratios = ratios[:, : rule.arms]
    ended: dict[int, Evidence] = {}
    for processes in range(rule.least, rule.most + 1):
        going = [run for run in range(len(ratios)) if run not in ended]
        if not going:
            break
        by_arm = ratios[going, :, :processes]
        said = candidate.say(by_arm.reshape(-1, *by_arm.shape[2:]))
        for run, first in zip(going, range(0, len(said), rule.arms), strict=True):
            arms = said[first : first + rule.arms]
            if processes == rule.most or all(is_precise(arm, PRECISION) for arm in arms):
                ended[run] = arms[0]
    return [ended[run] for run in range(len(ratios))]
