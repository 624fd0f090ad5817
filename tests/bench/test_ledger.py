"""What records say together: which variants can be told apart."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.doubt import doubtful_blocks
from bench.grid import Grid, PlannedBlock, plan_blocks
from bench.ledger import Ledger, VisitLog
from bench.record import Block, Round
from bench.trial import Trial

# A block is full with six variants, so the seventh has a block of its own.
GRID = Grid(placements=("standard",), reductions=(2, 4, 8, 16, 32, 64, 128))
BLOCKS = plan_blocks(GRID.trials())


def visits(block: PlannedBlock, overheads: dict[int, float], *, shared_sd: float) -> Ledger:
    """Five visits of twenty rounds, in which a disturbance of its own hits every variant alike."""
    rng = np.random.default_rng(0)
    ledger = Ledger()
    for number in range(5):
        visit = f"{block.key}-{number}"
        arms = block.arms
        wrong_by = (0.0,) * len(arms)
        ledger.add(Block(block.key, visit, visit, 0, arms, (), wrong_by, 1, 0.0))
        for _ in range(20):
            hit = rng.normal(0, shared_sd)
            times = [
                1.0 if arm.role != "variant"
                else 1 + overheads[arm.trial.variant.se.reduction] + hit
                for arm in arms
            ]  # fmt: skip
            order = tuple(range(len(arms)))
            ledger.add(Round(visit, order, tuple(times), 0.0, sum(times), 0, 0.0, 0.0))
    return ledger


def trial(reduction: int) -> Trial:
    return next(t for t in GRID.trials() if t.variant.se.reduction == reduction and
                t.variant.se.placement == "standard")  # fmt: skip


def test_variants_of_a_block_are_compared_in_their_own_rounds() -> None:
    """What hit both alike widens both overheads, and not the difference between them."""
    overheads = {2: 0.05, 4: 0.06, 8: 0.05, 16: 0.05, 32: 0.05, 64: 0.05}
    ledger = visits(BLOCKS[0], overheads, shared_sd=0.05)
    cheap, dear = (ledger.overhead(BLOCKS[0].key, arm) for arm in BLOCKS[0].arms[2:4])
    assert cheap is not None
    assert dear is not None
    assert cheap.overlaps(dear)
    assert ledger.differ(trial(2), trial(4))
    assert not ledger.differ(trial(2), trial(8))


def test_variants_of_two_blocks_are_compared_by_their_intervals() -> None:
    """They never met in a round, so only the distance of their intervals tells them apart."""
    near = dict.fromkeys((2, 4, 8, 16, 32, 64), 0.05)
    ledger = visits(BLOCKS[0], near, shared_sd=0.02)
    other = visits(BLOCKS[1], {128: 0.055}, shared_sd=0.02)
    ledger.visits |= other.visits
    assert not ledger.differ(trial(2), trial(128))
    ledger.visits |= visits(BLOCKS[1], {128: 0.20}, shared_sd=0.02).visits
    assert ledger.differ(trial(2), trial(128))


def test_what_was_not_measured_cannot_be_compared() -> None:
    """The error names both."""
    with pytest.raises(ValueError, match="must both be measured"):
        Ledger().differ(trial(2), trial(4))


def visit(
    ledger: Ledger, *, sd: float, slowed: float = 1.0, block: PlannedBlock = BLOCKS[0]
) -> VisitLog:
    """One more visit of a block: single pairs of all arms scatter so much, all times are slowed."""
    rng = np.random.default_rng(0)
    name = f"visit {len(ledger.visits)}"
    wrong_by = (0.0,) * len(block.arms)
    ledger.add(Block(block.key, name, name, 0, block.arms, (), wrong_by, 1, 0.0))
    for _ in range(20):
        times = tuple(slowed * np.exp(rng.normal(0, sd / 2**0.5, len(block.arms))))
        ledger.add(Round(name, tuple(range(len(times))), times, 0.0, 1.0, 0, 0.0, 0.0))
    return ledger.visits[name]


def test_a_visit_in_a_breakdown_is_set_aside() -> None:
    """Its pairs say nothing; those of the others, noisy as they may be, are kept."""
    ledger = Ledger()
    for sd in (0.05, 0.8, 0.1):
        visit(ledger, sd=sd)
    assert [ledger.is_broken(log) for log in ledger.visits.values()] == [False, True, False]
    assert [log.block.visit for log in ledger.visits_of(BLOCKS[0].key)] == ["visit 0", "visit 2"]
    assert not ledger.is_disturbed(BLOCKS[0].key)
    assert len(ledger.trunk_visits(trial(2))) == 2


def test_breakdowns_are_shown_where_there_is_little_else_and_marked() -> None:
    """One clean visit has no interval, so the others are taken too, and the block is disturbed."""
    ledger = Ledger()
    for sd in (0.8, 0.05, 0.9):
        visit(ledger, sd=sd)
    assert len(ledger.visits_of(BLOCKS[0].key)) == 3
    assert ledger.is_disturbed(BLOCKS[0].key)


def test_clean_visits_among_more_broken_ones_do_not_count_alone() -> None:
    """What broke most visits has most likely disturbed those that show no sign."""
    ledger = Ledger()
    for sd in (0.8, 0.05, 0.9, 0.05):
        visit(ledger, sd=sd)
    assert len(ledger.visits_of(BLOCKS[0].key)) == 2
    visit(ledger, sd=0.7)
    assert len(ledger.visits_of(BLOCKS[0].key)) == 5
    assert ledger.is_disturbed(BLOCKS[0].key)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_visit_whose_time_the_host_took_is_set_aside(threads: int) -> None:
    """Though its pairs scatter as in any other; of a single thread it tells nothing."""
    grid = Grid(placements=("standard",), reductions=(2,), threads=(threads,))
    (block,) = plan_blocks(grid.trials())
    ledger = Ledger()
    stolen, other = (visit(ledger, sd=0.05, block=block) for _ in range(2))
    stolen.rounds[3] = msgspec.structs.replace(stolen.rounds[3], steal_s=0.1)
    assert ledger.is_broken(stolen) == (threads > 1)
    assert not ledger.is_broken(other)


def test_a_single_stall_is_no_breakdown() -> None:
    """The scatter is a robust one: a round in ten that stalls does not spoil a visit."""
    ledger = Ledger()
    log = visit(ledger, sd=0.05)
    for place in (3, 11):
        stalled = (30.0, *log.rounds[place].samples_s[1:])
        log.rounds[place] = msgspec.structs.replace(log.rounds[place], samples_s=stalled)
    assert not ledger.is_broken(log)


def test_a_visit_whose_trunk_was_slowed_throughout_is_set_aside() -> None:
    """Its pairs scatter as in any other, but the trunk of another block shows what it takes."""
    ledger = Ledger()
    visit(ledger, sd=0.05, block=BLOCKS[1])
    slow = visit(ledger, sd=0.05, slowed=4.0)
    busy = [visit(ledger, sd=0.05, slowed=2.0) for _ in range(2)]
    assert ledger.is_broken(slow)
    assert ledger.visits_of(BLOCKS[0].key) == busy
    assert slow not in ledger.trunk_visits(trial(2))


def test_only_visits_in_one_setting_are_held_against_each_other() -> None:
    """A trunk is not broken for taking longer on larger inputs."""
    (large,) = plan_blocks(Grid(placements=("standard",), reductions=(2,), sizes=(448,)).trials())
    ledger = Ledger()
    visit(ledger, sd=0.05)
    assert not ledger.is_broken(visit(ledger, sd=0.05, slowed=4.0, block=large))


def test_a_block_without_a_control_may_break_down_too() -> None:
    """Its speed alone tells, beside a sound visit of its trunk in another block."""
    arms = tuple(arm for arm in BLOCKS[0].arms if arm.role != "control")
    ledger = Ledger()
    slow = visit(ledger, sd=0.05, slowed=4.0, block=PlannedBlock(BLOCKS[0].setting, arms))
    visit(ledger, sd=0.05, block=BLOCKS[1])
    assert doubtful_blocks(ledger) == {slow.block.block: "measured in a breakdown"}


def test_what_looked_sound_is_broken_once_a_better_visit_is_known() -> None:
    """While all visits are slow, nothing tells that they are."""
    ledger = Ledger()
    slow = [visit(ledger, sd=0.05, slowed=4.0) for _ in range(2)]
    assert not any(ledger.is_broken(log) for log in slow)
    visit(ledger, sd=0.05)
    assert all(ledger.is_broken(log) for log in slow)
    assert ledger.is_disturbed(BLOCKS[0].key)


def test_a_slow_round_more_is_seen_at_once() -> None:
    """A visit is judged by all rounds that it has by then."""
    ledger = Ledger()
    visit(ledger, sd=0.05)
    log = visit(ledger, sd=0.05)
    assert not ledger.is_broken(log)
    slow = tuple(5.0 for _ in log.block.arms)
    for _ in range(21):
        ledger.add(Round(log.block.visit, log.rounds[0].order, slow, 0.0, 1.0, 0, 0.0, 0.0))
    assert ledger.is_broken(log)
