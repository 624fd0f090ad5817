"""When triples end, and what is made of them; the processes are made up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.gate import timing
from bench.gate.finding import Finding, compares, passes
from bench.gate.timing import Gate
from bench.gate.triple import (
    BASE,
    CONTROL,
    HEAD,
    DiedError,
    Failure,
    GateError,
    Sides,
    Triple,
    Turn,
)

SIDES = Sides(Path("base"), Path("head"), "toy_models", 1)
NAMES = {"a": "toy_models:a", "b": "toy_models:b"}


class Machine:
    """Triples as scripted: by how much each variant's head is slower in the n-th one."""

    def __init__(self, change: Callable[[int, str], float], noise: float = 0.001) -> None:
        self._change = change
        self._noise = noise
        self.asked: list[tuple[str, ...]] = []
        self.turns: list[Turn] = []
        self.held: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
        # Of the processes that only hold, and of those of triples.
        self.failures: dict[tuple[str, int], Failure] = {}
        self.failures_in_triples: dict[tuple[str, int], Failure] = {}
        self.fails_alone = True
        self.wall_s = 0.0
        self.deaths: list[GateError] = []
        self.dies_from = 10**6

    async def measure(
        self, _sides: Sides, variants: Mapping[str, str], turn: Turn, _tell: object
    ) -> Triple:
        if self.deaths:
            raise self.deaths.pop()
        number = len(self.asked)
        if number >= self.dies_from:
            raise DiedError("a process of head died: killed")
        rng = np.random.default_rng(100 + number)
        self.asked.append(tuple(variants))
        self.turns.append(turn)
        failed = {name for name, _ in self.failures_in_triples}
        return Triple(
            times_s={
                name: np.array([1.0, 1 + self._change(number, name), 1.0])
                * rng.lognormal(0, self._noise, 3)
                * rng.lognormal(0, 0.005, (20, 3))
                for name in variants
                if name not in failed
            },
            failures=self.failures_in_triples,
            wall_s=self.wall_s,
        )

    async def hold(
        self, _sides: Sides, variants: Mapping[str, str], roles: Sequence[int]
    ) -> dict[tuple[str, int], Failure]:
        self.held.append((tuple(variants), tuple(roles)))
        if len(variants) == 1 and not self.fails_alone:
            return {}
        failures = self.failures | self.failures_in_triples
        return {key: failures[key] for key in failures if key[0] in variants and key[1] in roles}


def gate_on(machine: Machine, monkeypatch: pytest.MonkeyPatch, budget_s: float = 60.0) -> Gate:
    monkeypatch.setattr(timing, "measure_triple", machine.measure)
    monkeypatch.setattr(timing, "hold_apart", machine.hold)
    return Gate(SIDES, NAMES, 0.02, budget_s, 0, lambda line: None)


def run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, budget_s: float = 60.0
) -> dict[str, Finding]:
    gate = gate_on(machine, monkeypatch, budget_s)
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
    """What the base lacks is new; what head lacks is lost; each after a process of its own."""
    machine = Machine(lambda number, name: 0.0)
    machine.failures = {("a", role): Failure("KeyError: 'a'")}
    found = run(machine, monkeypatch)
    assert found["a"].verdict == verdict
    assert "KeyError" in (found["a"].reason or "")
    assert found["b"].verdict == "unchanged"
    assert machine.held == [(("a", "b"), (BASE, HEAD)), (("a",), (role,))]
    assert set(machine.asked) == {("b",)}
    assert passes(list(found.values())) == passing
    assert compares(list(found.values()))


def test_what_fails_in_one_process_and_not_alone_fails_no_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where memory ran out once; the report says so, and it is measured."""
    machine = Machine(lambda number, name: 0.0)
    machine.failures = {("a", HEAD): Failure("MemoryError")}
    machine.fails_alone = False
    gate = gate_on(machine, monkeypatch)
    found = asyncio.run(gate.run())
    assert [each.verdict for each in found] == ["unchanged", "unchanged"]
    assert gate.accidents == ["a failed in a process of head, not alone: MemoryError"]


@pytest.mark.parametrize(
    ("role", "fails_alone", "verdict"),
    [(HEAD, True, "broken"), (CONTROL, True, "not comparable"), (HEAD, False, "undecided")],
)
def test_what_fails_in_triples_alone_is_tried_alone(
    role: int, fails_alone: bool, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is said of it, and after it could be prepared."""
    machine = Machine(lambda number, name: 0.0)
    machine.fails_alone = fails_alone
    gate = gate_on(machine, monkeypatch)

    async def first_holds(*arguments: object) -> dict[tuple[str, int], Failure]:
        monkeypatch.setattr(timing, "hold_apart", machine.hold)
        machine.failures_in_triples = {("a", role): Failure("MemoryError")}
        machine.failures = {("a", HEAD if role == HEAD else BASE): Failure("MemoryError")}
        return {}

    monkeypatch.setattr(timing, "hold_apart", first_holds)
    found = {finding.variant: finding for finding in asyncio.run(gate.run())}
    assert found["a"].verdict == verdict
    assert found["b"].verdict == "unchanged"


def test_one_death_is_an_accident_and_two_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The triple is measured again, once, and the report says so."""
    machine = Machine(lambda number, name: 0.0)
    machine.deaths = [DiedError("a process of head died: killed")]
    gate = gate_on(machine, monkeypatch)
    assert asyncio.run(gate.run())[0].verdict == "unchanged"
    assert len(gate.accidents) == 1
    assert gate.accidents[0].startswith("a process of head died: killed")
    machine.deaths += 2 * [DiedError("a process of head died: killed")]
    with pytest.raises(GateError, match="head died"):
        run(machine, monkeypatch)


def test_what_cannot_be_imported_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fail again."""
    machine = Machine(lambda number, name: 0.0)
    machine.deaths = [DiedError("none of this"), GateError("head cannot import toy_models")]
    with pytest.raises(GateError, match="cannot import"):
        run(machine, monkeypatch)
    assert len(machine.deaths) == 1


def test_deaths_while_confirming_fail_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not confirmed is undecided, whatever kept it from being."""
    machine = Machine(lambda number, name: 0.05 if name == "b" else 0.0)
    machine.dies_from = 3
    found = run(machine, monkeypatch)
    assert found["a"].verdict == "unchanged"
    assert found["b"].verdict == "undecided"
    assert "confirming it failed: a process of head died" in (found["b"].reason or "")
    assert passes(list(found.values()))


def test_who_starts_first_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every three triples each role starts once at each place; the budget holds four."""
    machine = Machine(lambda number, name: 0.0, noise=0.05)
    run(machine, monkeypatch, budget_s=100.0 / 0.6)
    for place in range(3):
        assert {turn.start_order[place] for turn in machine.turns[:3]} == {BASE, HEAD, CONTROL}
        assert {turn.start_order[place] for turn in machine.turns[3:6]} == {BASE, HEAD, CONTROL}
    assert machine.turns[0].most_s == pytest.approx(100.0 / 4)
    assert len({turn.seed for turn in machine.turns}) == len(machine.turns)
