"""When a block has been measured enough, and how long the next visit may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.grid import PlannedBlock
from bench.ledger import Ledger
from bench.record import Arm
from bench.stats import Interval

# With fewer processes a bootstrap's 95 % interval covers too little.
PROCESSES = 5
# No visit measures longer: more, shorter processes say more than few long ones, and
# precision, which needs them, is found out the sooner.
LONGEST_VISIT_S = 15.0
# What a visit measures at least, whatever the budget.
LEAST_ROUNDS = 5
# The default budget, for each block: a default run then ends within ten minutes.
SECONDS_PER_BLOCK = 70.0
# Enough draws to decide by while measuring; tables draw more.
QUICK_RESAMPLES = 400


@dataclass(frozen=True)
class Target:
    """How well, and how long, to measure.

    ``precision`` is the half-width of an overhead's 95 % interval, as a
    fraction; ``budget_s`` the wall time for all blocks together, workers'
    start-up included, counting what earlier runs spent on them.
    """

    precision: float
    budget_s: float

    def __post_init__(self) -> None:
        for name in ("precision", "budget_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, got {value!r}")


def quick_overheads(ledger: Ledger, block: PlannedBlock) -> dict[Arm, Interval]:
    """The overhead of every arm of a block that was measured, control included, so far."""
    overheads = {
        arm: ledger.overhead(block.key, arm, resamples=QUICK_RESAMPLES)
        for arm in block.arms
        if arm.role != "trunk"
    }
    return {arm: interval for arm, interval in overheads.items() if interval is not None}


def is_precise(
    ledger: Ledger, block: PlannedBlock, overheads: dict[Arm, Interval], target: Target
) -> bool:
    """Whether every interval is as narrow as asked, each from enough processes."""
    visits = ledger.visits_of(block.key)
    return bool(overheads) and all(
        interval.half_width <= target.precision
        and sum(arm in log.block.arms for log in visits) >= PROCESSES
        for arm, interval in overheads.items()
    )


def blocks_left(
    ledger: Ledger, blocks: Sequence[PlannedBlock], target: Target
) -> list[PlannedBlock]:
    """The blocks that want visits: not yet precise, and within the budget.

    Every block gets one visit at least.
    """
    out_of_budget = spent_s(ledger, blocks) >= target.budget_s
    return [
        block
        for block in blocks
        if not (out_of_budget and ledger.visits_of(block.key))
        and not is_precise(ledger, block, quick_overheads(ledger, block), target)
    ]


def spent_s(ledger: Ledger, blocks: Sequence[PlannedBlock]) -> float:
    """The wall time that these blocks have had, their workers' start-up included.

    Of a visit that was cut short by a kill, its measuring time.
    """
    keys = {block.key for block in blocks}
    logs = [log for log in ledger.visits.values() if log.block.block in keys]
    workers = {log.block.worker for log in logs}
    startups_s = (each.startup_s for each in ledger.environments if each.worker in workers)
    visits_s = (log.measuring_s if log.wall_s is None else log.wall_s for log in logs)
    return sum(visits_s) + sum(startups_s)


def visit_s(
    ledger: Ledger, unfinished: Sequence[PlannedBlock], left_s: float, startup_s: float
) -> float:
    """The next visit's time: an equal share of what is left, start-ups set aside, at most."""
    wanted = [max(1, PROCESSES - len(ledger.visits_of(block.key))) for block in unfinished]
    share_s = (left_s - startup_s * (max(wanted) - 1)) / sum(wanted)
    return min(max(0.0, share_s), LONGEST_VISIT_S)
