"""Fresh processes of `bench.measure.pairs`, each boiled down to what it says.

Raw times go to a file, and are read when the process has ended: while it
measures, its parent sleeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bench.method.lines import Alone, Rounds
from bench.method.rivals import RIVALS, all_told
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


def in_rounds(arms: Sequence[str], setting: Setting, seconds: float, seed: int) -> Rounds:
    """What a process says that measures all arms in rounds for so many seconds.

    Raises:
        MeasuringError: if it fails.
    """
    lines = _run(arms, setting, ("--seconds", f"{seconds}"), seed)
    return summed_up(list(select(map(decode, lines), Round)))


class _About(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a process in sequence."""

    order: tuple[int, ...]
    timer_overhead_s: float


def in_sequence(arms: Sequence[str], setting: Setting, seconds: float, seed: int) -> Alone:
    """What other tools say in a process that runs each arm by itself for so many seconds.

    Raises:
        MeasuringError: if it fails.
    """
    first, *lines = _run(arms, setting, ("--sequence", f"{seconds}"), seed)
    about = msgspec.json.decode(first, type=_About)
    told = [
        all_told(
            np.array(msgspec.json.decode(line, type=list[float])), seconds, about.timer_overhead_s
        )
        for line in lines
    ]
    by_tool = {name: tuple(each[name] for each in told) for name in RIVALS}
    return Alone(about.order, by_tool)


def summed_up(rounds: Sequence[Round]) -> Rounds:
    """Medians of the ratios to the first arm, and how much of the time was inside forwards."""
    times_s: Array = np.array([round_.samples_s for round_ in rounds])
    wall_s = rounds[-1].ended_s - rounds[0].started_s
    ratios = np.median(times_s / times_s[:, :1], axis=0)
    return Rounds(tuple(ratios.tolist()), len(rounds), float(times_s.sum()) / wall_s)


def _run(arms: Sequence[str], setting: Setting, how: Sequence[str], seed: int) -> list[bytes]:
    command = [
        sys.executable, "-m", "bench.measure.pairs", "--arms", ",".join(arms), *how,
        "--size", f"{setting.size}", "--threads", f"{setting.threads}", "--seed", f"{seed}",
    ]  # fmt: skip
    environment = {**os.environ, **variables(setting.waiting)}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        code = subprocess.run(
            command, env=environment, stdout=output, stderr=errors, check=False
        ).returncode
        output.seek(0)
        errors.seek(0)
        if code:
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise MeasuringError(
                f"a measuring process ended with code {code}: "
                f"{said[-1] if said else 'it printed no error'}"
            )
        return output.read().splitlines()
