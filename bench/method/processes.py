"""Fresh processes of `bench.measure.pairs`, and the raw times that they tell.

Those of one set are started together, since starting takes longer than
measuring; then each gets warm and measures when its turn comes, and sleeps
before. Raw times are told at the end: until then its parent sleeps too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Generic, TypeAlias, TypeVar

import msgspec

from bench.method.lines import Alone, Rounds
from bench.protocol import Ready, encode
from bench.record import Round, decode, select
from bench.waiting import Waiting, environment

Said = TypeVar("Said", bound=Rounds | Alone, covariant=True)


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

    def said(self, lines: Sequence[bytes]) -> Rounds:
        return raw(list(select(map(decode, lines), Round)))


@dataclass(frozen=True)
class InSequence:
    """To run each arm by itself, for so many seconds, as other tools do."""

    seconds: float
    seed: int
    flag = "--sequence"

    def said(self, lines: Sequence[bytes]) -> Alone:
        about = msgspec.json.decode(lines[0], type=_About)
        times_s = [msgspec.json.decode(line, type=list[float]) for line in lines[1:]]
        wall_ns = tuple(_nanoseconds(each) for each in times_s)
        return Alone(about.order, wall_ns, about.timer_overhead_s)


Task: TypeAlias = InRounds | InSequence


@dataclass(frozen=True)
class Told(Generic[Said]):
    """What a process said, and the wall time that starting it and measuring took."""

    said: Said
    startup_s: float
    wall_s: float


class _About(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a process in sequence."""

    order: tuple[int, ...]
    timer_overhead_s: float


@contextmanager
def started(
    arms: Sequence[str], setting: Setting, tasks: Sequence[Task]
) -> Iterator[Iterator[Told[Rounds | Alone]]]:
    """Start a process for each task, all at once, and wait until all have built their models.

    Yields what they say, one by one: a process measures when its turn comes.
    The time that starting took is shared out evenly.

    Raises:
        MeasuringError: if a process fails.
    """
    since = time.monotonic()
    with ExitStack() as stack:
        processes = []
        for task in tasks:
            errors = stack.enter_context(tempfile.TemporaryFile())
            processes.append(stack.enter_context(_Process(arms, setting, task, errors)))
        for process in processes:
            process.wait_until_built()
        startup_s = (time.monotonic() - since) / len(tasks)
        yield (process.measure(startup_s) for process in processes)


def in_rounds(
    arms: Sequence[str], setting: Setting, tasks: Sequence[InRounds]
) -> Iterator[Told[Rounds]]:
    """What such processes say, one after the other.

    Raises:
        MeasuringError: if one fails.
    """
    with started(arms, setting, tasks) as told:
        for each in told:
            assert isinstance(each.said, Rounds)
            yield Told(each.said, each.startup_s, each.wall_s)


def raw(rounds: Sequence[Round]) -> Rounds:
    """The times of all rounds, to the nanosecond that the clocks have."""
    switches = [each.involuntary_switches for each in rounds]
    stolen_s = [each.steal_s for each in rounds]
    return Rounds(
        wall_ns=tuple(_nanoseconds(each.samples_s) for each in rounds),
        cpu_ns=tuple(_nanoseconds(each.cpu_samples_s or ()) for each in rounds),
        span_s=rounds[-1].ended_s - rounds[0].started_s,
        involuntary_switches=None if None in switches else sum(each or 0 for each in switches),
        steal_s=None if None in stolen_s else sum(each or 0.0 for each in stolen_s),
    )


def _nanoseconds(times_s: Sequence[float]) -> tuple[int, ...]:
    return tuple(round(1e9 * time_s) for time_s in times_s)


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
        self._task = task
        self._errors = errors
        self._process = subprocess.Popen(
            command,
            env=environment(setting.waiting),
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

    def measure(self, startup_s: float) -> Told[Rounds | Alone]:
        since = time.monotonic()
        output, _ = self._process.communicate(b"\n")
        wall_s = time.monotonic() - since
        if self._process.returncode:
            raise self._failure()
        return Told(self._task.said(output.splitlines()), startup_s, wall_s)

    def _failure(self) -> MeasuringError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return MeasuringError(
            f"a measuring process ended with code {code}: "
            f"{said[-1] if said else 'it printed no error'}"
        )
