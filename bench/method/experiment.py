"""The proof's experiment under one load condition: find the truth, then record sets.

A set is one comparison of every model with the trunk by every method, at
equal wall time of measuring: ``processes`` short processes in rounds, in
which a pair's share adds up to ``length_s``; and one process in which each
model runs by itself for half of that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.cpus import usable_cpus
from bench.environment import Machine, Source
from bench.method import recording
from bench.method.lines import Header, Line, Paired, Parameters, Sequential, Truth
from bench.method.load import under
from bench.method.processes import Setting, in_rounds, in_sequence
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
    """One process of a set: ``process`` counts those in rounds; None is the sequential one."""

    set: int
    process: int | None


def steps(parameters: Parameters) -> Iterator[Step]:
    """Endless sets; which of the two kinds comes first is drawn anew for each."""
    for number in count():
        paired = [Step(number, process) for process in range(parameters.processes)]
        alone = [Step(number, None)]
        first = random.Random(f"{parameters.seed}, {number}").random() < 0.5
        yield from alone + paired if first else paired + alone


def rounds_s(parameters: Parameters) -> float:
    """How long a process in rounds measures, so that a pair has had ``length_s`` in a set."""
    return parameters.length_s * len(parameters.arms_pct) / 2 / parameters.processes


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
    path = recording.path_of(folder, parameters.load)
    if not path.exists():
        begin(path, parameters, machine, source, tell)
    with recording.appending(path) as writer:
        known = recording.read(path)
        recording.check_same(path, known.header, parameters, machine, source)
        run = _Run(known, writer, effort, tell)
        if run.find_truth():
            with under(parameters.load, usable_cpus()):
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
        """Long processes in rounds over all arms, in quiet; whether there was time for all."""
        known = len(list(select(self._lines, Truth)))
        for process in range(known, self._asked.truth_processes):
            if not self._has_time_for(self._asked.truth_s):
                return False
            started, seed = time.monotonic(), self._seed("truth", process)
            said = in_rounds(self._header.arms, self._setting, self._asked.truth_s, seed)
            taken_s = time.monotonic() - started
            self._keep(Truth(process, "quiet", self._asked.waiting, said, taken_s))
            self._say(f"true sizes, process {process + 1} of {self._asked.truth_processes}")
        return True

    def measure_sets(self) -> None:
        """Those processes of the sets that are not there yet, in the sets' own order."""
        done = self._done()
        for step in steps(self._asked):
            if self._effort.sets is not None and step.set >= self._effort.sets:
                return
            if (step.set, step.process) in done:
                continue
            if not self._has_time_for(self._likely_s()):
                return
            self._keep(self._measure(step))
            done = self._done()
            if sum(number == step.set for number, _ in done) == self._asked.processes + 1:
                self._say(f"set {step.set + 1} is complete")

    def _done(self) -> set[tuple[int, int | None]]:
        paired = {(line.set, line.process) for line in select(self._lines, Paired)}
        return paired | {(line.set, None) for line in select(self._lines, Sequential)}

    def _measure(self, step: Step) -> Paired | Sequential:
        asked, arms = self._asked, self._header.arms
        seed = self._seed(step.set, step.process)
        started = time.monotonic()
        if step.process is None:
            alone = in_sequence(arms, self._setting, asked.length_s / 2, seed)
            return Sequential(step.set, asked.waiting, alone, time.monotonic() - started)
        rounds = in_rounds(arms, self._setting, rounds_s(asked), seed)
        return Paired(step.set, step.process, asked.waiting, rounds, time.monotonic() - started)

    def _seed(self, *of: object) -> int:
        return random.Random(f"{self._asked.seed}, {self._asked.load}, {of}").getrandbits(31)

    def _keep(self, line: Line) -> None:
        self._writer.append(line)
        self._lines.append(line)

    def _spent_s(self) -> float:
        return self._header.wall_s + sum(line.wall_s for line in self._lines)

    def _has_time_for(self, wanted_s: float) -> bool:
        return self._spent_s() + wanted_s <= self._effort.budget_s

    def _likely_s(self) -> float:
        """What the next process of a set takes: as the last one did."""
        measured: Sequence[Line] = [
            line for line in self._lines if isinstance(line, Paired | Sequential)
        ]
        return measured[-1].wall_s if measured else self._asked.length_s

    def _say(self, what: str) -> None:
        left_s = max(0.0, self._effort.budget_s - self._spent_s())
        self._tell(f"{self._asked.load}: {what}; {left_s / 60:.1f} min left")
