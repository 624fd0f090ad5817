"""Equal revisions fail no build: the whole way from processes to the verdict, over many seeds."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, Self

import pytest

from bench.gate.finding import Finding, passes
from bench.gate.judgement import THRESHOLD
from bench.gate.timing import Gate
from bench.gate.triple import HEAD, Sides
from bench.protocol import Command, Held, Hold, RunHeld, Sample, Tree

SIDES = Sides(Path("base"), Path("head"), "toy_models", 1)
NAMES = [f"variant-{n}" for n in range(8)]
RUNS = 60


class FakeProcess:
    """A process in this one: its forwards take what they are said to, with all kinds of noise."""

    def __init__(self, role: int, rng: random.Random, noise: float, slower: float) -> None:
        self._tree = SIDES.tree(role) / "toy_models.py"
        self._rng = rng
        self._noise = noise
        self._slower = slower if role == HEAD else 0.0
        self._bias: list[float] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def one(self, kind: type, command: Command | None = None) -> Any:
        """As `bench.run.worker_process.WorkerProcess.one` has it."""
        match command:
            case None:
                return Tree(str(self._tree))
            case Hold(what=what):
                slower = self._slower if what == NAMES[0] else 0.0
                # Each process has an effect of its own, and each variant in it.
                self._bias.append((1 + slower) * self._rng.lognormvariate(0, self._noise))
                return Held(len(self._bias) - 1)
            case RunHeld(place=place):
                time_s = self._bias[place] * self._rng.lognormvariate(0, 0.02)
                if self._rng.random() < 0.05:  # something else ran
                    time_s *= 1 + self._rng.random()
                return Sample(time_s, time_s)


def findings(
    seed: int, monkeypatch: pytest.MonkeyPatch, noise: float, slower: float = 0.0
) -> list[Finding]:
    """Of one run; the noise of processes is a fraction."""
    rng = random.Random(seed)
    monkeypatch.setattr(Sides, "process", lambda self, role: FakeProcess(role, rng, noise, slower))
    names = {name: name for name in NAMES}
    # So short that few triples are added, of which many tests would otherwise be made.
    return asyncio.run(Gate(SIDES, names, THRESHOLD, 0.05, seed, lambda line: None).run())


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(0.002, marks=pytest.mark.slow, id="quiet"),
        pytest.param(0.01, id="usual"),
        pytest.param(0.05, marks=pytest.mark.slow, id="wild"),
    ],
)
def test_equal_revisions_fail_no_build(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of so many runs, of eight variants each."""
    failed = [seed for seed in range(RUNS) if not passes(findings(seed, monkeypatch, noise))]
    assert failed == []


def test_a_slower_one_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is far beyond the noise, each time, and nothing else does."""
    for seed in range(10):
        regressed = [
            finding.variant
            for finding in findings(seed, monkeypatch, 0.001, slower=0.2)
            if finding.verdict == "regressed"
        ]
        assert regressed == [NAMES[0]]
