"""How well and how long to measure, and how long the next visit may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.grid import PlannedBlock
from bench.ledger import Ledger
from bench.stats import Evidence

# With fewer processes Student's interval is wide: over 8 it is 2.4 standard errors, over 3 4.3.
PROCESSES = 8
# No visit measures longer: more, shorter processes say more than few long ones, and
# precision, which needs them, is found out the sooner.
LONGEST_VISIT_S = 10.0
# What a visit measures at least, whatever the budget.
LEAST_ROUNDS = 5
# The default budget, for each block: a default run then ends within ten minutes.
SECONDS_PER_BLOCK = 70.0


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


def is_precise(ratio: Evidence, precision: float) -> bool:
    """The rule by which measuring stops: a narrow interval, and enough processes behind it."""
    return ratio.processes >= PROCESSES and ratio.interval().half_width <= precision


def startup_s(ledger: Ledger) -> float:
    """How long a worker takes to start: as the last one did, or nothing while none has."""
    return ledger.environments[-1].startup_s if ledger.environments else 0.0


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


def visit_s(ledger: Ledger, left: Sequence[PlannedBlock], left_s: float, startup_s: float) -> float:
    """The next visit's time: an equal share of what is left, start-ups set aside, at most."""
    wanted = [max(1, PROCESSES - len(ledger.visits_of(block.key))) for block in left]
    share_s = (left_s - startup_s * (max(wanted) - 1)) / sum(wanted)
    return min(max(0.0, share_s), LONGEST_VISIT_S)
