"""What was used least recently makes room, whoever comes at once."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

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


def test_what_is_not_kept_is_made_and_a_failure_costs_nothing() -> None:
    """Once for a kind, by whichever of several threads came first; nothing goes for what fails."""
    latest, made = Latest[str](2), []

    def make() -> str:
        made.append("made")
        time.sleep(0.01)
        return "A"

    assert at_once(lambda kind: latest.get_or_make(kind, make), ["a"] * 4) == ["A"] * 4
    assert made == ["made"]
    latest.keep("b", "B")
    assert latest.get_or_make("a", make) == "A"
    with pytest.raises(ZeroDivisionError):
        latest.get_or_make("c", lambda: str(1 // 0))
    assert latest.values() == ["B", "A"]
    assert latest.get_or_make("c", lambda: "C") == "C"
    assert latest.values() == ["A", "C"]


def test_threads_may_come_at_once() -> None:
    """Each finds its own or nothing, and no more are kept."""
    latest = Latest[int](2)

    def use(number: int) -> None:
        for _ in range(50):
            assert latest.get(SlowKind(number)) in (None, number)
            latest.keep(SlowKind(number), number)

    at_once(use, range(3))
    assert len(latest) == 2
