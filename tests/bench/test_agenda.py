"""Which blocks a run still visits."""

from __future__ import annotations

import msgspec
import pytest

from bench.grid import Grid, PlannedBlock, plan_blocks
from bench.ledger import Ledger
from bench.record import Arm, Block, Outcome, Round, Status
from bench.run.agenda import Agenda
from bench.run.schedule import PROCESSES, Target
from bench.trial import Path

(BLOCK,) = plan_blocks(Grid(placements=("standard",), reductions=(4, 16)).trials())
LAST = BLOCK.arms[-1]
IN_TIME, OUT_OF_TIME = Target(0.01, 1000.0), Target(0.01, 1e-9)


def ledger_with(
    visits: int,
    *,
    without: tuple[Arm, ...] = (),
    wobble: float = 0.0,
    trunk_s: float = 1.0,
    prepare_s: float = 0.0,
    block: PlannedBlock = BLOCK,
) -> Ledger:
    """Visits of six rounds each; ``wobble`` is by how much every other visit is slower."""
    ledger = Ledger()
    arms = tuple(arm for arm in block.arms if arm not in without)
    for number in range(visits):
        name = f"{block.key} {number}"
        wrong_by = (0.0,) * len(arms)
        ledger.add(Block(block.key, name, name, 0, arms, without, wrong_by, 1, prepare_s))
        for _ in range(6):
            slower = (1.1 + wobble * (number % 2)) * trunk_s
            times = tuple(trunk_s if arm.role == "trunk" else slower for arm in arms)
            order = tuple(range(len(arms)))
            ledger.add(Round(name, order, times, 0.0, 1.0, 0, 0.0, 0.0))
    return ledger


def wants(ledger: Ledger, target: Target) -> bool:
    return Agenda(ledger, [BLOCK], target).left() == [BLOCK]


@pytest.mark.parametrize("target", [IN_TIME, OUT_OF_TIME])
def test_a_block_without_a_round_is_visited_whatever_the_time(target: Target) -> None:
    """A budget too small for all blocks costs precision, never a row."""
    assert wants(Ledger(), target)


def test_a_visit_that_was_cut_short_is_not_the_last() -> None:
    """Its worker died behind the first rounds, before anybody had looked at them."""
    ledger = Ledger()
    agenda = Agenda(ledger, [BLOCK], IN_TIME)
    measured = ledger_with(1)
    ledger.visits |= measured.visits
    assert agenda.left() == [BLOCK]


def test_a_block_is_visited_until_it_is_precise() -> None:
    """Narrow intervals count only from enough processes, and all of them must be narrow."""
    assert wants(ledger_with(PROCESSES - 1), IN_TIME)
    assert not wants(ledger_with(PROCESSES), IN_TIME)
    assert wants(ledger_with(PROCESSES, wobble=0.1), IN_TIME)
    assert not wants(ledger_with(PROCESSES, wobble=0.1), OUT_OF_TIME)


@pytest.mark.parametrize("target", [IN_TIME, OUT_OF_TIME])
@pytest.mark.parametrize(
    ("status", "wanted"),
    [("crashed", True), ("oom", True), ("timeout", True),
     ("wrong_result", False), ("unsupported", False)],
)  # fmt: skip
def test_a_failure_that_may_pass_gets_one_more_visit(
    status: Status, wanted: bool, target: Target
) -> None:
    """Once per run, even where all others are precise; a final failure gets none."""
    ledger = ledger_with(PROCESSES, without=(LAST,))
    ledger.add(Outcome(LAST.trial, "latency", status, "a reason"))
    agenda = Agenda(ledger, [BLOCK], target)
    assert agenda.left() == ([BLOCK] if wanted else [])
    agenda.visited(BLOCK)
    assert agenda.left() == []


def test_a_block_whose_trunk_has_failed_for_good_is_not_visited_again() -> None:
    """There is nothing to pair its variants with."""
    ledger = Ledger()
    for trial in dict.fromkeys(arm.trial for arm in BLOCK.arms):
        ledger.add(Outcome(trial, "latency", "unsupported", "a reason"))
    assert not wants(ledger, IN_TIME)


def test_visits_in_a_breakdown_are_made_up_for() -> None:
    """They count as no processes, so the block wants as many clean ones as ever."""
    ledger = ledger_with(PROCESSES)
    for log in list(ledger.visits.values())[:2]:
        for number, round_ in enumerate(log.rounds):
            spoilt = (round_.samples_s[0] * (1 + 3 * (number % 2)), *round_.samples_s[1:])
            log.rounds[number] = msgspec.structs.replace(round_, samples_s=spoilt)
    assert wants(ledger, IN_TIME)
    assert not wants(ledger_with(PROCESSES), IN_TIME)


def test_a_block_is_wanted_again_once_its_visits_prove_to_have_been_slow() -> None:
    """Another block has met the same trunk at its best, and shows what it takes."""
    first, second = plan_blocks(
        Grid(placements=("standard",), reductions=(2, 4, 8, 16, 32, 64, 128)).trials()
    )
    ledger = ledger_with(PROCESSES, trunk_s=4.0, block=first)
    agenda = Agenda(ledger, [first, second], IN_TIME)
    assert agenda.left() == [second]
    ledger.visits |= ledger_with(PROCESSES, block=second).visits
    agenda.visited(second)
    assert agenda.left() == [first]


def test_no_worker_is_started_that_would_be_ready_too_late() -> None:
    """What is left of the budget must be more than a start takes."""
    agenda = Agenda(ledger_with(1), [BLOCK], Target(0.01, 30.0))
    assert agenda.left(start_s=5.0) == [BLOCK]
    assert agenda.left(start_s=60.0) == []


def test_no_visit_is_begun_whose_arms_would_be_ready_too_late() -> None:
    """What is left of the budget must be more than preparing them takes."""
    ledger = ledger_with(2, prepare_s=60.0)
    assert Agenda(ledger, [BLOCK], Target(0.01, 100.0)).left() == [BLOCK]
    assert Agenda(ledger, [BLOCK], Target(0.01, 30.0)).left() == []


def test_a_block_is_not_there_for_the_eager_trunk_beside_it() -> None:
    """That it never rode is no reason for another visit."""
    grid = Grid(placements=("standard",), reductions=(4,), paths=(Path("fused"),))
    (fused,) = plan_blocks(grid.trials())
    eager = next(arm for arm in fused.arms if arm.role == "eager")
    ledger = ledger_with(PROCESSES, without=(eager,), block=fused)
    assert Agenda(ledger, [fused], IN_TIME).left() == []


def test_a_block_that_was_given_up_is_left_alone() -> None:
    """Until the next run."""
    agenda = Agenda(Ledger(), [BLOCK], IN_TIME)
    agenda.give_up(BLOCK)
    assert agenda.left() == []


def test_precise_arms_are_counted_one_by_one() -> None:
    """Progress is seen before a whole block is done."""
    assert Agenda(ledger_with(1), [BLOCK], IN_TIME).precise_arms == 0
    assert Agenda(ledger_with(PROCESSES), [BLOCK], IN_TIME).precise_arms == 3
    fewer = Agenda(ledger_with(PROCESSES, without=(LAST,)), [BLOCK], IN_TIME)
    assert fewer.precise_arms == 2
