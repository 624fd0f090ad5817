"""Fresh processes of `bench.measure.pairs`, each boiled down to what it says.

Those of one set are started together, since starting takes longer than
measuring; then each gets warm and measures when its turn comes, and sleeps
before. Raw times are told at the end: until then its parent sleeps too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TypeAlias

import msgspec
import numpy as np

from bench.method.lines import Alone, Rounds
from bench.method.rivals import RIVALS, all_told
from bench.protocol import Ready, encode
from bench.record import Round, decode, select
from bench.stats import Array
from bench.waiting import Waiting, variables


class MeasuringError(RuntimeError):
    """A measuring process failed, or told what makes no sense."""


@dataclass(frozen=True)
class Setting:
    """Under what every process measures."""

    size: int
    threads: int
    waiting: Waiting


@dataclass(frozen=True)
class InRounds:
    """To measure all arms in rounds, for so many seconds; orders are drawn by the seed."""

    seconds: float
    seed: int
    flag = "--seconds"

    def boiled_down(self, lines: Sequence[bytes]) -> Rounds:
        return summed_up(list(select(map(decode, lines), Round)))


@dataclass(frozen=True)
class InSequence:
    """To run each arm by itself, for so many seconds, as other tools do."""

    seconds: float
    seed: int
    flag = "--sequence"

    def boiled_down(self, lines: Sequence[bytes]) -> Alone:
        about = msgspec.json.decode(lines[0], type=_About)
        told = [
            all_told(
                np.array(msgspec.json.decode(line, type=list[float])),
                self.seconds,
                about.timer_overhead_s,
            )
            for line in lines[1:]
        ]
        by_tool = {name: tuple(each[name] for each in told) for name in RIVALS}
        return Alone(about.order, by_tool)


Task: TypeAlias = InRounds | InSequence
Said: TypeAlias = Rounds | Alone


class _About(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a process in sequence."""

    order: tuple[int, ...]
    timer_overhead_s: float


@contextmanager
def started(
    arms: Sequence[str], setting: Setting, tasks: Sequence[Task]
) -> Iterator[Iterator[Said]]:
    """Start a process for each task, all at once, and wait until all have built their models.

    Yields what they say, one by one: a process measures when its turn comes.

    Raises:
        MeasuringError: if a process fails.
    """
    with ExitStack() as stack:
        processes = []
        for task in tasks:
            errors = stack.enter_context(tempfile.TemporaryFile())
            processes.append(stack.enter_context(_Process(arms, setting, task, errors)))
        for process in processes:
            process.wait_until_built()
        yield (
            task.boiled_down(process.measure())
            for task, process in zip(tasks, processes, strict=True)
        )


def summed_up(rounds: Sequence[Round]) -> Rounds:
    """Medians of the ratios to the first arm, and how much of the time was inside forwards."""
    times_s: Array = np.array([round_.samples_s for round_ in rounds])
    wall_s = rounds[-1].ended_s - rounds[0].started_s
    ratios = np.median(times_s / times_s[:, :1], axis=0)
    return Rounds(tuple(ratios.tolist()), len(rounds), float(times_s.sum()) / wall_s)


class _Process:
    """A process that builds its models, and runs them when told to; killed on the way out."""

    def __init__(
        self, arms: Sequence[str], setting: Setting, task: Task, errors: IO[bytes]
    ) -> None:
        command = [
            sys.executable, "-m", "bench.measure.pairs", "--wait", "--arms", ",".join(arms),
            task.flag, f"{task.seconds}", "--seed", f"{task.seed}",
            "--size", f"{setting.size}", "--threads", f"{setting.threads}",
        ]  # fmt: skip
        self._errors = errors
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **variables(setting.waiting)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,  # no reader ahead may hold what another is to read
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *of_error: object) -> None:
        with self._process:
            self._process.kill()

    def wait_until_built(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != encode(Ready()):
            raise self._failure()

    def measure(self) -> list[bytes]:
        output, _ = self._process.communicate(b"\n")
        if self._process.returncode:
            raise self._failure()
        return output.splitlines()

    def _failure(self) -> MeasuringError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return MeasuringError(
            f"a measuring process ended with code {code}: "
            f"{said[-1] if said else 'it printed no error'}"
        )
