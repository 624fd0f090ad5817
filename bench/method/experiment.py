"""The proof's experiment under one load: find the truth, then record sets, both under it.

A set is one comparison of every model with the trunk by every method, each of
which measures all models for ``length_s``: ``processes`` short processes in
rounds, which share it; and one process in which the models run one after the
other.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.cpus import usable_cpus
from bench.environment import Machine, Source
from bench.line_files import found
from bench.method import recording
from bench.method.lines import (
    Alone,
    Header,
    Line,
    Paired,
    Parameters,
    Process,
    Rounds,
    Sequential,
    Truth,
)
from bench.method.load import under
from bench.method.processes import (
    InRounds,
    InSequence,
    Setting,
    Task,
    Told,
    in_rounds,
    started,
)
from bench.method.recording import Recording, Writer
from bench.method.slowdowns import Tell, begin
from bench.record import select

SLOWDOWNS_PCT = (1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Effort:
    """When to stop: after so much wall time, earlier runs' included, or so many sets."""

    budget_s: float
    sets: int | None = None


@dataclass(frozen=True)
class Step:
    """One process of a set: ``process`` counts those in rounds; None is the one in sequence."""

    set: int
    process: int | None


def steps(parameters: Parameters, number: int) -> list[Step]:
    """The processes of a set in their order; which of the two kinds comes first is drawn."""
    paired = [Step(number, process) for process in range(parameters.processes)]
    alone = [Step(number, None)]
    first = random.Random(f"{parameters.seed}, {number}").random() < 0.5
    return alone + paired if first else paired + alone


def task(parameters: Parameters, step: Step) -> Task:
    """What its process does, so that each kind measures for ``length_s`` in a set."""
    seed = _seed(parameters, step.set, step.process)
    if step.process is None:
        return InSequence(parameters.length_s / len(parameters.arms_pct), seed)
    return InRounds(parameters.length_s / parameters.processes, seed)


def record(
    parameters: Parameters,
    folder: Path,
    machine: Machine,
    source: Source,
    effort: Effort,
    tell: Tell,
) -> Path:
    """Record, or go on recording, until the effort is spent; the path of the recording.

    Ctrl-C loses the process under way and nothing else.

    Raises:
        RefusedError: if there is a recording of anything else.
        MeasuringError: if a process fails.
    """
    path = recording.path_of(folder, parameters.load, parameters.size)
    if found(path) is None:
        begin(path, parameters, machine, source, tell)
    with recording.appending(path) as writer:
        known = recording.read(path)
        recording.check_same(path, known.header, parameters, machine, source)
        run = _Run(known, writer, effort, tell)
        with under(parameters.load, usable_cpus()):
            if run.find_truth():
                run.measure_sets()
    return path


class _Run:
    """A recording under way."""

    def __init__(self, known: Recording, writer: Writer, effort: Effort, tell: Tell) -> None:
        self._header: Header = known.header
        self._lines: list[Line] = list(known.lines)
        self._writer = writer
        self._effort = effort
        self._tell = tell
        asked = self._asked = known.header.parameters
        self._setting = Setting(asked.size, asked.threads, asked.waiting)

    def find_truth(self) -> bool:
        """Long processes in rounds over all arms; whether there was time for all."""
        asked = self._asked
        while (known := len(list(select(self._lines, Truth)))) < asked.truth_processes:
            batch = range(known, min(known + asked.processes, asked.truth_processes))
            if not self._has_time_for(len(batch) * asked.truth_s):
                return False
            tasks = [InRounds(asked.truth_s, _seed(asked, "truth", each)) for each in batch]
            measured = in_rounds(self._header.arms, self._setting, tasks)
            for process, told in zip(batch, measured, strict=True):
                self._keep(Truth(told.startup_s, told.wall_s, process=process, said=told.said))
                self._say(f"true sizes, process {process + 1} of {asked.truth_processes}")
        return True

    def measure_sets(self) -> None:
        """Those processes of the sets that are not there yet, in the sets' own order."""
        for number in count() if self._effort.sets is None else range(self._effort.sets):
            missing = [step for step in steps(self._asked, number) if step not in self._done()]
            if not missing:
                continue
            if not self._has_time_for(self._likely_s()):
                return
            tasks = [task(self._asked, step) for step in missing]
            with started(self._header.arms, self._setting, tasks) as measured:
                for step, told in zip(missing, measured, strict=True):
                    self._keep(_line(step, told))
            self._say(f"set {number + 1} is complete")

    def _done(self) -> set[Step]:
        paired = {Step(line.set, line.process) for line in select(self._lines, Paired)}
        return paired | {Step(line.set, None) for line in select(self._lines, Sequential)}

    def _keep(self, line: Line) -> None:
        self._writer.append(line)
        self._lines.append(line)

    def _spent_s(self) -> float:
        return self._header.wall_s + sum(each.taken_s for each in select(self._lines, Process))

    def _has_time_for(self, wanted_s: float) -> bool:
        return self._spent_s() + wanted_s <= self._effort.budget_s

    def _likely_s(self) -> float:
        """What the next set takes: as those before it did; at first, what it measures."""
        lines = [line for line in self._lines if isinstance(line, Paired | Sequential)]
        if not lines:
            return 2 * self._asked.length_s
        return sum(line.taken_s for line in lines) / len({line.set for line in lines})

    def _say(self, what: str) -> None:
        left_s = max(0.0, self._effort.budget_s - self._spent_s())
        self._tell(f"{self._asked.load}: {what}; {left_s / 60:.1f} min left")


def _line(step: Step, told: Told[Rounds | Alone]) -> Paired | Sequential:
    if isinstance(told.said, Alone):
        return Sequential(told.startup_s, told.wall_s, set=step.set, said=told.said)
    assert step.process is not None
    return Paired(told.startup_s, told.wall_s, set=step.set, process=step.process, said=told.said)


def _seed(parameters: Parameters, *of: object) -> int:
    return random.Random(f"{parameters.seed}, {parameters.load}, {of}").getrandbits(31)
