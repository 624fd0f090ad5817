"""The order of runs, and going on with them; both tools are made up."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.gate.proof import experiment
from bench.gate.proof.experiment import Effort, Step, missing, record, steps
from bench.gate.proof.lines import KINDS, GateSaid, Parameters, RivalSaid, read
from bench.gate.proof.pair import Pair
from bench.gate.proof.report import counts, markdown
from tests.bench.gate.proof.made_up import HEADER, PARAMETERS, gate_said, ran, rival_said

ROOT = Path("root")


def test_what_was_recorded_is_balanced_whenever_it_ends() -> None:
    """One of each kind in a block; each tool comes first as often as the other."""
    planned = steps(PARAMETERS, 20)
    assert [step.number for step in planned] == list(range(60))
    for start in range(0, 60, 3):
        assert {step.kind for step in planned[start : start + 3]} == set(KINDS)
    assert len({tuple(step.kind for step in planned[n : n + 3]) for n in range(0, 60, 3)}) > 3
    first = Counter((step.kind, step.rival_first) for step in planned)
    assert set(first.values()) == {10}
    assert len({step.seed for step in planned}) == 60
    assert steps(PARAMETERS, 20) == planned
    assert steps(PARAMETERS, 10) == planned[:30]


def test_what_is_missing_is_what_was_not_recorded() -> None:
    """In the planned order."""
    planned = steps(PARAMETERS, 2)
    runs = [ran(step.number, step.kind) for step in planned[:4]]
    assert missing(planned, runs) == planned[4:]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What each tool was called with, in order."""
    called: list[tuple[object, ...]] = []

    def gate(head: Path, base: str, parameters: Parameters, seed: int) -> GateSaid:
        called.append(("gate", head.name, base))
        return gate_said(seed=seed)

    def rival(base: Path, head: Path, parameters: Parameters) -> RivalSaid:
        called.append(("rival", base.name, head.name))
        return rival_said()

    @contextmanager
    def loaded(load: str, cpus: int) -> Iterator[None]:
        called.append(("load", load))
        yield

    @contextmanager
    def pair(root: Path, rows: int) -> Iterator[Pair]:
        assert rows == HEADER.rows
        yield Pair(Path("equal"), Path("slowed"))

    monkeypatch.setattr(experiment, "run_gate", gate)
    monkeypatch.setattr(experiment, "run_rival", rival)
    monkeypatch.setattr(experiment, "under", loaded)
    monkeypatch.setattr(experiment, "pair", pair)
    monkeypatch.setattr(experiment, "committed", lambda root: HEADER.commit)
    monkeypatch.setattr(experiment, "calibrated", lambda parameters, tell: HEADER.rows)
    return called


def tell(line: str) -> None: ...


def test_both_tools_see_the_same_revisions(tools: list[tuple[object, ...]]) -> None:
    """Under the same load; who is first, is first."""
    both = Pair(Path("equal"), Path("slowed"))
    experiment.compare(Step(0, "slowed", True, 7), both, PARAMETERS)
    assert tools == [("load", "quiet"), ("rival", "equal", "slowed"), ("gate", "slowed", "HEAD~1")]
    tools.clear()
    found = experiment.compare(Step(1, "loaded", False, 7), both, PARAMETERS)
    assert tools == [("load", "loaded"), ("gate", "equal", "HEAD"), ("rival", "equal", "equal")]
    assert found.gate.seed == 7


def test_it_goes_on_where_it_was_stopped(
    tmp_path: Path, tools: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended is kept, what was under way is run again, and nothing twice."""
    real, left = experiment.compare, [4]

    def stopped(*arguments: object) -> object:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "compare", stopped)
    with pytest.raises(KeyboardInterrupt):
        record(ROOT, tmp_path, PARAMETERS, Effort(2, 1e6), tell)
    left[0] = 10
    path = record(ROOT, tmp_path, PARAMETERS, Effort(2, 1e6), tell)
    assert [run.number for run in read(path).runs] == list(range(6))
    assert left[0] == 8


def test_another_machine_goes_on_with_work_of_its_own(
    tmp_path: Path, tools: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What slows by 5 % is found anew there; runs before and after count together."""
    record(ROOT, tmp_path, PARAMETERS, Effort(1, 1e6), tell)
    other = dataclasses.replace(HEADER.machine, cpu="another CPU")
    monkeypatch.setattr(experiment, "describe_machine", lambda: other)
    for _ in range(2):
        path = record(ROOT, tmp_path, PARAMETERS, Effort(2, 1e6), tell)
    known = read(path)
    assert [header.machine.cpu for header in known.headers] == [HEADER.machine.cpu, "another CPU"]
    assert [run.number for run in known.runs] == list(range(6))
    assert "and another CPU, " in markdown(known.headers, counts(known.runs))


def test_it_begins_no_run_that_would_end_too_late(
    tmp_path: Path, tools: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier runs count, and a run is thought to take as long as others of its kind."""

    def compare(step: Step, *_: object) -> object:
        return ran(step.number, step.kind)  # 80 s

    monkeypatch.setattr(experiment, "compare", compare)
    path = record(ROOT, tmp_path, PARAMETERS, Effort(20, 500.0), tell)
    assert len(read(path).runs) == 6
    record(ROOT, tmp_path, PARAMETERS, Effort(20, 500.0), tell)
    assert len(read(path).runs) == 6
    record(ROOT, tmp_path, PARAMETERS, Effort(20, 560.0), tell)
    assert len(read(path).runs) == 7
