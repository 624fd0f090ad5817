"""Which blocks a run still visits."""

from __future__ import annotations

import msgspec
import pytest

from bench.grid import Grid, plan_blocks
from bench.ledger import Ledger
from bench.record import Arm, Block, Outcome, Round, Status
from bench.run.agenda import Agenda
from bench.run.schedule import PROCESSES, Target

(BLOCK,) = plan_blocks(Grid(placements=("standard",), reductions=(4, 16)).trials())
LAST = BLOCK.arms[-1]
IN_TIME, OUT_OF_TIME = Target(0.01, 1000.0), Target(0.01, 1e-9)


def ledger_with(visits: int, *, without: tuple[Arm, ...] = (), wobble: float = 0.0) -> Ledger:
    """Visits of six rounds each; ``wobble`` is by how much every other visit is slower."""
    ledger = Ledger()
    arms = tuple(arm for arm in BLOCK.arms if arm not in without)
    for number in range(visits):
        name = f"visit {number}"
        wrong_by = (0.0,) * len(arms)
        ledger.add(Block(BLOCK.key, name, name, 0, arms, without, wrong_by, 1, 0.0))
        for _ in range(6):
            slower = 1.1 + wobble * (number % 2)
            times = tuple(1.0 if arm.role == "trunk" else slower for arm in arms)
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


def test_no_worker_is_started_that_would_be_ready_too_late() -> None:
    """What is left of the budget must be more than a start takes."""
    agenda = Agenda(ledger_with(1), [BLOCK], Target(0.01, 30.0))
    assert agenda.left(start_s=5.0) == [BLOCK]
    assert agenda.left(start_s=60.0) == []


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
