"""When triples end, and what is made of them; the processes are made up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.gate import timing
from bench.gate.timing import Finding, Gate, compares, passes
from bench.gate.triple import BASE, HEAD, GateError, Sides, Triple

SIDES = Sides(Path("base"), Path("head"), "toy_models", 1)
NAMES = {"a": "toy_models:a", "b": "toy_models:b"}


class Machine:
    """Triples as scripted: by how much each variant's head is slower in the n-th one."""

    def __init__(self, change: Callable[[int, str], float], noise: float = 0.001) -> None:
        self._change = change
        self._noise = noise
        self.asked: list[tuple[str, ...]] = []
        self.failures: dict[tuple[str, int], str] = {}
        self.wall_s = 0.0
        self.deaths = 0

    async def measure(
        self, _sides: Sides, variants: Mapping[str, str], _rng: random.Random, _tell: object
    ) -> Triple:
        if self.deaths:
            self.deaths -= 1
            raise GateError("the process of head died")
        number = len(self.asked)
        rng = np.random.default_rng(100 + number)
        self.asked.append(tuple(variants))
        failed = {name for name, _ in self.failures}
        return Triple(
            times_s={
                name: np.array([1.0, 1 + self._change(number, name), 1.0])
                * rng.lognormal(0, self._noise, 3)
                * rng.lognormal(0, 0.005, (20, 3))
                for name in variants
                if name not in failed
            },
            failures=self.failures,
            wall_s=self.wall_s,
        )


def run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, budget_s: float = 60.0
) -> dict[str, Finding]:
    monkeypatch.setattr(timing, "measure_triple", machine.measure)
    gate = Gate(SIDES, NAMES, 0.02, budget_s, 0, lambda line: None)
    return {finding.variant: finding for finding in asyncio.run(gate.run())}


def test_equal_variants_need_the_least_triples(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no second set."""
    machine = Machine(lambda number, name: 0.0)
    found = run(machine, monkeypatch)
    assert machine.asked == [("a", "b")] * 3
    assert {finding.verdict for finding in found.values()} == {"unchanged"}
    assert passes(list(found.values()))


def test_a_suspect_is_measured_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """And fails if it is slow once more."""
    machine = Machine(lambda number, name: 0.05 if name == "b" else 0.0)
    found = run(machine, monkeypatch)
    assert machine.asked == [("a", "b")] * 3 + [("b",)] * 3
    assert found["a"].verdict == "unchanged"
    assert found["b"].verdict == "regressed"
    assert found["b"].known is not None
    assert found["b"].known.change.processes == 6
    assert not passes(list(found.values()))


def test_what_is_not_confirmed_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the machine was odd while the first set ran."""
    machine = Machine(lambda number, name: 0.05 if name == "b" and number < 3 else 0.0)
    found = run(machine, monkeypatch)
    assert found["b"].verdict == "undecided"
    assert found["b"].reason == "suspected, and not confirmed by fresh processes"
    assert passes(list(found.values()))


def test_what_is_undecided_gets_triples_until_the_budget_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And says how large a slowdown would have been found."""
    noisy = Machine(lambda number, name: 0.0, noise=0.05)
    patient = run(noisy, monkeypatch)
    assert len(noisy.asked) > 3
    hurried = Machine(lambda number, name: 0.0, noise=0.05)
    hurried.wall_s = 100.0
    found = run(hurried, monkeypatch)
    assert len(hurried.asked) == 3
    assert found["a"].verdict == "undecided"
    assert found["a"].detectable is not None
    assert patient["a"].detectable is not None
    assert found["a"].detectable > patient["a"].detectable


@pytest.mark.parametrize(
    ("role", "verdict", "passing"), [(BASE, "not comparable", True), (HEAD, "broken", False)]
)
def test_what_a_side_cannot_run_is_told_apart(
    role: int, verdict: str, passing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the base lacks is new; what head lacks is lost."""
    machine = Machine(lambda number, name: 0.0)
    machine.failures = {("a", role): "KeyError: 'a'"}
    found = run(machine, monkeypatch)
    assert found["a"].verdict == verdict
    assert "KeyError" in (found["a"].reason or "")
    assert found["b"].verdict == "unchanged"
    assert passes(list(found.values())) == passing
    assert compares(list(found.values()))


def test_one_death_is_an_accident_and_two_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The triple is measured again, once."""
    machine = Machine(lambda number, name: 0.0)
    machine.deaths = 1
    assert run(machine, monkeypatch)["a"].verdict == "unchanged"
    machine.deaths = 2
    with pytest.raises(GateError, match="head died"):
        run(machine, monkeypatch)
