"""What was used least recently makes room, whoever comes at once."""

from __future__ import annotations

import time
from typing import NamedTuple

from se_models.fused.latest import Latest
from tests.se_models.fused.threads import at_once


class SlowKind(NamedTuple):
    """Takes so long to look up that other threads come meanwhile."""

    name: int

    def __hash__(self) -> int:
        time.sleep(1e-4)
        return self.name


def test_the_least_recently_used_makes_room() -> None:
    """Being found is being used, and so is being kept anew."""
    latest = Latest[str](2)
    latest.keep("a", "A")
    latest.keep("b", "B")
    assert latest.get("a") == "A"
    latest.keep("c", "C")
    assert latest.values() == ["A", "C"]
    latest.keep("a", "A again")
    latest.keep("d", "D")
    assert latest.values() == ["A again", "D"]
    assert latest.get("b") is None
    assert len(latest) == 2


def test_threads_may_come_at_once() -> None:
    """Each finds its own or nothing, and no more are kept."""
    latest = Latest[int](2)

    def use(number: int) -> None:
        for _ in range(50):
            assert latest.get(SlowKind(number)) in (None, number)
            latest.keep(SlowKind(number), number)

    at_once(use, range(3))
    assert len(latest) == 2
