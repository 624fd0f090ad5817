"""Balanced random orders: who runs when within a round.

In a fixed order the same arm always runs behind the same other one, on the
caches and clock speeds which that one left behind, and the difference between
two models is partly their places. A Williams square (E. J. Williams, 1949,
"Experimental designs balanced for the estimation of residual effects of
treatments") puts every arm into every place, and behind every other arm,
equally often.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


def williams_square(arms: int) -> list[tuple[int, ...]]:
    """The rows of the square: ``arms`` of them, or twice as many where ``arms`` is odd."""
    # 0, 1, n - 1, 2, n - 2, ...: every difference between neighbours comes once.
    zigzag = [(step + 1) // 2 if step % 2 else (arms - step // 2) % arms for step in range(arms)]
    rows = [tuple((place + shift) % arms for place in zigzag) for shift in range(arms)]
    return rows if arms % 2 == 0 else rows + [row[::-1] for row in rows]


def balanced_orders(arms: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Endless orders of the arms ``0 .. arms - 1``, balanced over every cycle of the square.

    Each cycle renames the arms and shuffles the rows anew. The same seed gives
    the same orders.
    """
    rng = random.Random(seed)
    square = williams_square(arms)
    while True:
        names = list(range(arms))
        rng.shuffle(names)
        rng.shuffle(square)
        for row in square:
            yield tuple(names[place] for place in row)
