"""The experiment records what it should, when it should, and goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pandas as pd
import psutil
import pytest

from bench.method import experiment, slowdowns
from bench.method.__main__ import main
from bench.method.experiment import Effort, record, steps
from bench.method.lines import Alone, Line, Paired, Parameters, Rounds, Sequential, Truth
from bench.method.load import LOADS
from bench.method.processes import (
    InRounds,
    InSequence,
    MeasuringError,
    Setting,
    Task,
    Told,
    raw,
    started,
)
from bench.method.ratios import inside, ratios
from bench.method.recording import RefusedError, path_of, read
from bench.method.slowdowns import PROCESSES, rows_for
from bench.record import Round, select
from tests.bench.method.made_up import MACHINE, OTHER_MACHINE, SOURCE, asked, in_rounds

EFFORT = Effort(3600.0, sets=3)


@dataclass
class Machinery:
    """Made-up processes, each of ten seconds; remembers what was run, and under what load."""

    runs: list[tuple[str, tuple[str, ...], float, str]] = field(default_factory=list)
    load: str = "none"
    stop_after: int | None = None
    now_s: float = 0.0

    @contextmanager
    def started(
        self, arms: Sequence[str], setting: Setting, tasks: Sequence[Task]
    ) -> Iterator[Iterator[Told[Rounds | Alone]]]:
        yield (Told(self.said(arms, task), 4.0, 6.0) for task in tasks)

    def in_rounds(
        self, arms: Sequence[str], setting: Setting, tasks: Sequence[InRounds]
    ) -> Iterator[Told[Rounds]]:
        for task in tasks:
            said = self.said(arms, task)
            assert isinstance(said, Rounds)
            yield Told(said, 4.0, 6.0)

    def said(self, arms: Sequence[str], task: Task) -> Rounds | Alone:
        if isinstance(task, InRounds):
            self._ran("rounds", arms, task.seconds)
            # A row costs a tenth of a percent.
            costs = [1e-3 * int(arm.removeprefix("slowed-")) for arm in arms[1:] if arm != "none"]
            equal = [0.0] * (len(arms) - 1 - len(costs))
            said = in_rounds(*equal, *costs)
            return msgspec.structs.replace(said, involuntary_switches=task.seed)
        self._ran("sequence", arms, task.seconds)
        return Alone(tuple(range(len(arms))), ((task.seed,),) * len(arms), 1e-7)

    @contextmanager
    def under(self, load: str, cpus: int) -> Iterator[None]:
        self.load = load
        yield
        self.load = "none"

    def _ran(self, kind: str, arms: Sequence[str], seconds: float) -> None:
        if len(self.runs) == self.stop_after:
            raise KeyboardInterrupt
        self.runs.append((kind, tuple(arms), seconds, self.load))
        self.now_s += 10.0


@pytest.fixture
def machinery(monkeypatch: pytest.MonkeyPatch) -> Machinery:
    made = Machinery()
    clock = SimpleNamespace(monotonic=lambda: made.now_s)
    for module in (experiment, slowdowns):
        monkeypatch.setattr(module, "in_rounds", made.in_rounds)
    monkeypatch.setattr(slowdowns, "time", clock)
    monkeypatch.setattr(experiment, "started", made.started)
    monkeypatch.setattr(experiment, "under", made.under)
    return made


def recorded(
    folder: Path, parameters: Parameters | None = None, effort: Effort = EFFORT
) -> tuple[Line, ...]:
    parameters = parameters or asked("quiet")
    path = record(parameters, folder, MACHINE, SOURCE, effort, lambda line: None)
    return read(path).lines


def kinds(lines: Sequence[Line]) -> list[type[Line]]:
    return [type(line) for line in lines]


def test_truth_comes_first_then_whole_sets(machinery: Machinery, tmp_path: Path) -> None:
    """Each with its processes in rounds and one in sequence, of equal time for all models."""
    lines = recorded(tmp_path)
    assert kinds(lines)[:2] == [Truth] * 2
    assert len(lines) == 2 + 3 * 3
    assert {(line.set, line.process) for line in select(lines, Paired)} == {
        (number, process) for number in range(3) for process in range(2)
    }
    assert [line.set for line in select(lines, Sequential)] == [0, 1, 2]
    arms = ("none", "none", "none", "slowed-10", "slowed-50")
    # Two processes in rounds share five seconds, and so do the five models of one in sequence.
    expected = {("rounds", arms, 20.0), ("rounds", arms, 2.5), ("sequence", arms, 1.0)}
    assert {run[:3] for run in machinery.runs[PROCESSES:]} == expected


def test_either_kind_may_come_first() -> None:
    """Drawn anew for each set, and the same for the same seed."""
    firsts = [steps(asked("quiet"), number)[0].process for number in range(20)]
    assert 3 < firsts.count(None) < 17
    assert firsts == [steps(asked("quiet"), number)[0].process for number in range(20)]


def test_an_interrupted_run_goes_on_where_it_stood(machinery: Machinery, tmp_path: Path) -> None:
    """And ends with the very lines of one that was never interrupted."""
    whole = recorded(tmp_path / "whole")
    processes = len(machinery.runs)
    machinery.runs.clear()
    for stop_after in (4, 7, 9):
        machinery.stop_after = stop_after
        with pytest.raises(KeyboardInterrupt):
            recorded(tmp_path / "torn")
    machinery.stop_after = None
    assert recorded(tmp_path / "torn") == whole
    assert len(machinery.runs) == processes
    assert recorded(tmp_path / "torn") == whole


def test_no_two_processes_have_the_same_orders(machinery: Machinery, tmp_path: Path) -> None:
    """A seed of their own, which the made-up ratios tell."""
    lines = recorded(tmp_path)
    said = [line.said.involuntary_switches for line in lines if isinstance(line, Truth | Paired)]
    said += [line.said.wall_ns[0][0] for line in select(lines, Sequential)]
    assert len(set(said)) == len(lines)


def test_no_set_begins_that_the_budget_has_no_time_for(
    machinery: Machinery, tmp_path: Path
) -> None:
    """Calibration, and what earlier runs spent, count; more budget goes on."""
    # 40 s calibrate, and what finds the truth is to measure for 40 s, which takes but 20.
    assert len(recorded(tmp_path, effort=Effort(79.0))) == 0
    assert len(recorded(tmp_path, effort=Effort(99.0))) == 2 + 3  # the first measures for 10 s
    assert len(recorded(tmp_path, effort=Effort(119.0))) == 2 + 3  # and took 30
    assert len(recorded(tmp_path, effort=Effort(120.0))) == 2 + 6


def test_all_but_the_calibration_runs_under_the_load(machinery: Machinery, tmp_path: Path) -> None:
    """The true sizes too: what a slowdown is may depend on what else runs."""
    recorded(tmp_path, asked("loaded"))
    loads = [run[3] for run in machinery.runs]
    assert loads == ["none"] * PROCESSES + ["loaded"] * (2 + 9)


@pytest.mark.parametrize("waiting", ["deployed", "passive"])
def test_both_conditions_have_the_same_slowed_models(
    waiting: str, machinery: Machinery, tmp_path: Path
) -> None:
    """Those of the quiet recording, however threads wait; their sizes are measured anew."""
    recorded(tmp_path)
    machinery.runs.clear()
    recorded(tmp_path, asked("loaded", waiting=waiting))
    assert len(machinery.runs) == 2 + 9
    machinery.runs.clear()
    recorded(tmp_path, asked("loaded", waiting=waiting, size=96))
    assert len(machinery.runs) == PROCESSES + 2 + 9


def test_another_machine_is_refused(machinery: Machinery, tmp_path: Path) -> None:
    """Before anything is measured."""
    recorded(tmp_path)
    machinery.runs.clear()
    with pytest.raises(RefusedError, match="cpu was 'a CPU'"):
        record(asked("quiet"), tmp_path, OTHER_MACHINE, SOURCE, EFFORT, lambda line: None)
    assert machinery.runs == []


def test_rows_lie_between_what_was_measured() -> None:
    """On straight lines between the costs of those that were; none is less than one row."""
    costs = (0.01, 0.02, 0.03, 0.1, 0.4)  # of 10, 40, 150, 600 and 2,400 rows
    assert rows_for((0.01, 0.4, 2.0, 2.5, 10.0, 25.0), costs) == (1, 4, 40, 95, 600, 1500)


def test_a_calibration_that_makes_no_sense_is_refused() -> None:
    """All of the work too cheap for the largest slowdown; with what was measured."""
    with pytest.raises(MeasuringError, match=r"2400 rows must cost at least 5 %, got 4.0 %: beg"):
        rows_for((5.0,), (0.01, 0.02, 0.03, 0.035, 0.04))


def test_noise_in_a_calibration_is_borne() -> None:
    """More work that seems to cost less is taken to cost the same."""
    (rows,) = rows_for((3.0,), (0.01, 0.02, 0.015, 0.1, 0.4))
    assert 150 < rows < 250


def test_a_process_is_kept_raw() -> None:
    """Each arm's time in each round, by both clocks, to the nanosecond."""
    rounds = [
        Round("", (0, 1), (s, 1.5 * s), start, start + 4 * s, 2, 0.25, 0.0,
              cpu_samples_s=(2 * s, 3 * s))
        for s, start in ((1.0, 0.0), (2.0, 4.0), (1.0, 12.0))
    ]  # fmt: skip
    said = raw(rounds)
    assert said.wall_ns == ((10**9, 15 * 10**8), (2 * 10**9, 3 * 10**9), (10**9, 15 * 10**8))
    assert said.cpu_ns[1] == (4 * 10**9, 6 * 10**9)
    assert (said.span_s, said.involuntary_switches, said.steal_s) == (16.0, 6, 0.75)
    assert ratios(said).tolist() == [1.0, 1.5]
    assert inside(said) == 10.0 / 16.0
    unknown = [msgspec.structs.replace(each, steal_s=None) for each in rounds]
    assert raw(unknown).steal_s is None


def test_a_process_that_fails_says_why() -> None:
    """Its last words, and its code."""
    with pytest.raises(MeasuringError, match=r"code 2: .*must be from .*, got 'odd'$"):
        measured(InRounds(1.0, 0), ("none", "odd"))


def measured(task: Task, arms: tuple[str, ...]) -> Rounds | Alone:
    with started(arms, Setting(32, 1, "passive"), [task]) as told:
        return next(told).said


@pytest.mark.slow
def test_processes_measure_one_after_the_other(tmp_path: Path) -> None:
    """Whatever each is to do, in the order of the tasks; leaving early leaves none behind."""
    tasks: list[Task] = [InRounds(0.2, 1), InSequence(0.1, 2), InRounds(0.2, 3)]
    with started(("none", "slowed-500"), Setting(32, 1, "passive"), tasks) as told:
        first, second = next(told).said, next(told).said
        third = psutil.Process().children()
        assert sum(child.status() != psutil.STATUS_ZOMBIE for child in third) == 1
    assert isinstance(first, Rounds)
    assert ratios(first)[1] > 1.2
    assert isinstance(second, Alone)
    assert sorted(second.order) == [0, 1]
    assert psutil.Process().children() == []


def test_a_failure_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No recording is begun by it."""
    monkeypatch.setattr("bench.method.processes.sys.executable", "false")
    assert main(["run", "--load", "quiet", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "python -m bench.method run: a measuring process ended with code 1: it printed no error\n"
    )
    assert not path_of(tmp_path, "quiet", 64).exists()


@pytest.mark.slow
def test_real_models_are_recorded_and_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both conditions, from the command line to the table and the picture; then nothing is left."""
    command = [
        "run", "--sets=1", "--processes=2", "--length=2s", "--truth-processes=1",
        "--truth-seconds=1s", "--waiting=passive", f"--out={tmp_path}",
    ]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "quiet: set 1 is complete" in said
    assert "loaded: set 1 is complete" in said
    frame = pd.read_csv(tmp_path / "proof.csv")
    assert len(frame) == 2 * 4 * 5
    assert (frame["wall_s"] > 0).all()
    sound = frame[frame["disturbed"] < frame["n"]]  # whatever else this machine does meanwhile
    assert sound["mean_pct"].notna().all()
    assert frame["inside_pct"].dropna().between(20, 100).all()
    assert (tmp_path / "proof.png").exists()
    sizes = [path_of(tmp_path, load, 64).stat().st_size for load in LOADS]
    assert main(command) == 0
    assert [path_of(tmp_path, load, 64).stat().st_size for load in LOADS] == sizes
