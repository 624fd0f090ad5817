"""Which fixtures still live: what a benchmark is made of must not be gone when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench.interleave.touched import finalizers

# pytest-benchmark's own, which undo nothing that a benchmark needs.
OWN = ("benchmark", "benchmark_weave", "benchmark_baseline")


class Liveness:
    """Watches fixtures come and go.

    Only those count that have something to undo: what a fixture merely returned
    lives as long as the benchmark that holds it.
    """

    def __init__(self) -> None:
        self._living: list[pytest.FixtureDef[Any]] = []
        self._gone: set[int] = set()
        self._comings = 0
        self._coming_of: dict[int, int] = {}

    def set_up(self, fixture: pytest.FixtureDef[Any]) -> None:
        if fixture.argname not in OWN:
            self._comings += 1
            self._coming_of[id(fixture)] = self._comings
            self._living.append(fixture)

    def torn_down(self, fixture: pytest.FixtureDef[Any]) -> None:
        if fixture in self._living:
            self._living.remove(fixture)
            self._gone.add(self._coming_of.pop(id(fixture)))

    def living(self, names: Sequence[str]) -> dict[int, str]:
        """The fixtures of those names that have something to undo, each by a number of its life.

        It is asked when a test has called its benchmark, as a fixture that makes
        things for the test has nothing to undo before.
        """
        return {
            self._coming_of[id(fixture)]: fixture.argname
            for fixture in self._living
            if fixture.argname in names and finalizers(fixture)
        }

    def first_gone(self, lives: dict[int, str]) -> str | None:
        """The name of one that lives no longer; None while all do."""
        return next((name for life, name in lives.items() if life in self._gone), None)
