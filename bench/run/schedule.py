"""How well and how long to measure, and how long the next visit may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.grid import PlannedBlock
from bench.ledger import Ledger
from bench.stats import Evidence
from bench.trial import ExecutorName

# With fewer processes Student's interval is wide: over 8 it is 2.4 standard errors, over 3 4.3.
PROCESSES = 8
# No visit measures longer: more, shorter processes say more than few long ones, and
# precision, which needs them, is found out the sooner.
LONGEST_VISIT_S = 10.0
# What a visit measures at least, whatever the budget.
LEAST_ROUNDS = 5
# The default budget, for each block of eager PyTorch: a default run then ends in some ten minutes.
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


@dataclass(frozen=True)
class Preparation:
    """What an arm takes to prepare: the first time, and when it finds what was made then."""

    first_s: float
    later_s: float


# Beyond what eager PyTorch takes: ResNet-18 at 224 pixels on two busy CPUs, for an estimate.
PREPARING: dict[ExecutorName, Preparation] = {
    "compile": Preparation(25.0, 3.0),
    "compile_freezing": Preparation(30.0, 10.0),
    "onnxruntime": Preparation(3.5, 0.3),
    "openvino": Preparation(3.5, 0.3),
}


def default_budget_s(blocks: Sequence[PlannedBlock]) -> float:
    """What the blocks may take if nobody says: all have as long to measure."""
    return sum(SECONDS_PER_BLOCK + _preparing_s(block) for block in blocks)


def _preparing_s(block: PlannedBlock) -> float:
    """What preparing the block's arms may take in all of its visits."""
    takes = PREPARING.get(block.setting.path.executor, Preparation(0.0, 0.0))
    arms = sum(arm.role != "eager" for arm in block.arms)
    return arms * (takes.first_s + (PROCESSES - 1) * takes.later_s)


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


def preparing_s(ledger: Ledger, block: PlannedBlock) -> float:
    """How long the arms of a block take to prepare: as they did in its last visit.

    The first one says little, for what it exports and compiles is found by the
    others. Until there is a second, nothing.
    """
    took_s = [log.block.prepare_s for log in ledger.visits.values() if log.block.block == block.key]
    return took_s[-1] if len(took_s) > 1 else 0.0


def measuring_s(
    ledger: Ledger,
    block: PlannedBlock,
    left: Sequence[PlannedBlock],
    left_s: float,
    startup_s: float,
) -> float:
    """How long a visit should measure, once its arms are ready; at most `LONGEST_VISIT_S`.

    An equal share of what is left of the budget, when the start-ups and
    preparations of the visits that are still wanted after this one are set aside.

    Args:
        ledger: what is known.
        block: which is visited.
        left: the blocks that want visits, this one among them.
        left_s: what is left of the budget.
        startup_s: how long a worker takes to start.
    """
    wanted = {each.key: max(1, PROCESSES - len(ledger.visits_of(each.key))) for each in left}
    later_s = startup_s * (max(wanted.values()) - 1) + sum(
        preparing_s(ledger, each) * (wanted[each.key] - (each == block)) for each in left
    )
    share_s = (left_s - later_s) / sum(wanted.values())
    return min(max(0.0, share_s), LONGEST_VISIT_S)
