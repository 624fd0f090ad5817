"""How long visits take, when their arms take time to prepare."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.grid import Grid, PlannedBlock, plan_blocks
from bench.ledger import Ledger
from bench.record import Block, Round
from bench.run.schedule import (
    LONGEST_VISIT_S,
    PREPARING,
    PROCESSES,
    SECONDS_PER_BLOCK,
    default_budget_s,
    measuring_s,
    preparing_s,
)
from bench.trial import Path

PATHS = (Path(), Path(executor="compile"))
EAGER, COMPILED = plan_blocks(Grid(placements=("none",), paths=PATHS).trials())


def visited(block: PlannedBlock, prepare_s: Sequence[float]) -> Ledger:
    """Visits with a round each, whose arms took so long to prepare."""
    ledger = Ledger()
    arms = block.arms
    for number, seconds in enumerate(prepare_s):
        name = f"visit {number}"
        wrong_by = (0.0,) * len(arms)
        ledger.add(Block(block.key, name, name, 0, arms, (), wrong_by, 1, seconds))
        order = tuple(range(len(arms)))
        ledger.add(Round(name, order, (1.0,) * len(arms), 0.0, 1.0, 0, 0.0, 0.0))
    return ledger


def test_arms_are_prepared_in_as_long_as_last_time() -> None:
    """But the first visit, which finds nothing made, says nothing of those to come."""
    assert preparing_s(visited(COMPILED, []), COMPILED) == 0.0
    assert preparing_s(visited(COMPILED, [200.0]), COMPILED) == 0.0
    assert preparing_s(visited(COMPILED, [200.0, 30.0, 20.0]), COMPILED) == 20.0
    assert preparing_s(visited(COMPILED, [200.0, 30.0, 20.0]), EAGER) == 0.0


def test_time_to_measure_is_what_preparing_leaves() -> None:
    """In equal shares, and no less because this visit's own arms took long."""
    ledger = visited(COMPILED, [200.0, 20.0])
    wanted = PROCESSES - 2
    left_s = 12.0 * wanted + 20.0 * (wanted - 1) - 6.0 * wanted
    assert measuring_s(ledger, COMPILED, [COMPILED], left_s, 0.0) == pytest.approx(6.0)
    startups_s = 3.0 * (wanted - 1)
    with_startups = measuring_s(ledger, COMPILED, [COMPILED], left_s + startups_s, 3.0)
    assert with_startups == pytest.approx(6.0)
    assert measuring_s(ledger, COMPILED, [COMPILED], 20.0, 0.0) == 0.0
    assert measuring_s(ledger, COMPILED, [COMPILED], 1e6, 0.0) == LONGEST_VISIT_S


def test_what_other_blocks_take_to_prepare_is_set_aside_too() -> None:
    """All of their visits are still to come."""
    ledger = visited(COMPILED, [200.0, 20.0])
    wanted = PROCESSES + PROCESSES - 2
    left_s = 20.0 * (PROCESSES - 2) + 4.0 * wanted
    both = [EAGER, COMPILED]
    assert measuring_s(ledger, EAGER, both, left_s, 0.0) == pytest.approx(4.0)


def test_unasked_a_block_gets_as_long_to_measure_by_every_path() -> None:
    """What its arms take to prepare comes on top, in the first visit and in the others."""
    assert default_budget_s([EAGER]) == SECONDS_PER_BLOCK
    more_s = default_budget_s([EAGER, COMPILED]) - 2 * SECONDS_PER_BLOCK
    takes = PREPARING["compile"]
    assert more_s == 2 * (takes.first_s + (PROCESSES - 1) * takes.later_s)
