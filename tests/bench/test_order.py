"""Orders within a round are balanced and repeatable."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.order import balanced_orders, williams_square


@given(st.integers(2, 12))
def test_a_square_puts_every_arm_into_every_place_and_behind_every_other(arms: int) -> None:
    """Over the square, places and predecessors are met equally often."""
    square = williams_square(arms)
    assert len(square) == (arms if arms % 2 == 0 else 2 * arms)
    assert all(sorted(row) == list(range(arms)) for row in square)
    for place in range(arms):
        assert set(Counter(row[place] for row in square).values()) == {len(square) // arms}
    followers = Counter(pair for row in square for pair in pairwise(row))
    assert len(followers) == arms * (arms - 1)
    assert len(set(followers.values())) == 1


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_orders_repeat_with_the_seed_and_balance_over_each_cycle(arms: int, seed: int) -> None:
    """The same seed gives the same orders, and every cycle is a square again."""
    cycle = len(williams_square(arms))
    orders = list(islice(balanced_orders(arms, seed), 2 * cycle))
    assert orders == list(islice(balanced_orders(arms, seed), 2 * cycle))
    for start in (0, cycle):
        first = Counter(order[0] for order in orders[start : start + cycle])
        assert set(first.values()) == {cycle // arms}


def test_different_seeds_give_different_orders() -> None:
    """The order is random, not merely shifted."""
    orders = {tuple(islice(balanced_orders(8, seed), 8)) for seed in range(20)}
    assert len(orders) == 20
