"""Shared memory whose size a launch decides: no kernel that ships asks for any, one that will may.

Here a kernel of the tests does, with and without mistakes.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.se_models.fused.cuda.emulator import (
    HERE,
    SCHEDULES,
    Ran,
    Sanitizer,
    Schedule,
    compiled,
    ended,
)

pytestmark = pytest.mark.kernels

COUNT, BLOCKS = 64, 3
BYTES = 4 * COUNT
REVERSED = [
    float(first + COUNT - 1 - rank)
    for first in range(0, COUNT * BLOCKS, COUNT)
    for rank in range(COUNT)
]


def run(
    folder: Path, sanitizer: Sanitizer, *flags: str, count: int = BYTES,
    schedule: Schedule = "ascending", seed: int = 0,
) -> Ran:  # fmt: skip
    program = folder / "reversed"
    compiled(HERE / "reversed.cpp", program, sanitizer, flags)
    return ended([str(program), str(count), str(SCHEDULES.index(schedule)), str(seed)])


def values(ran: Ran) -> list[float]:
    return [float(line) for line in ran.printed]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_threads_of_a_block_share_it(
    sanitizer: Sanitizer, schedule: Schedule, seed: int, tmp_path: Path
) -> None:
    """Whoever goes first, and no sanitizer finds anything."""
    ran = run(tmp_path, sanitizer, schedule=schedule, seed=seed)
    assert (ran.code, ran.said) == (0, "")
    assert values(ran) == REVERSED


def test_a_launch_that_asks_for_too_little_is_caught(tmp_path: Path) -> None:
    """By one value."""
    ran = run(tmp_path, "address", count=BYTES - 4)
    assert ran.code != 0
    assert "heap-buffer-overflow" in ran.said


def test_a_missing_barrier_is_caught(tmp_path: Path) -> None:
    """As a race, and by values that nobody wrote yet, which are none."""
    ran = run(tmp_path, "thread", "-DNO_BARRIER")
    assert ran.code != 0
    assert "data race" in ran.said
    found = values(run(tmp_path, "address", "-DNO_BARRIER"))
    assert any(map(math.isnan, found))


def test_a_seed_is_an_order(tmp_path: Path) -> None:
    """Always the same, and another than that of another seed: here of whoever came too early."""

    def too_early(seed: int) -> list[bool]:
        ran = run(tmp_path, "address", "-DNO_BARRIER", schedule="random", seed=seed)
        return [math.isnan(value) for value in values(ran)]

    first, largest = too_early(0), too_early(2**32 - 1)
    assert any(first)
    assert too_early(0) == first
    assert largest != first
