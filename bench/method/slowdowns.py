"""The slowed models: how many operators make each slowdown, found once and then fixed."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from bench.environment import Machine, Source
from bench.method import recording
from bench.method.lines import SCHEMA_VERSION, Alone, Header, Parameters, Truth
from bench.method.processes import InRounds, MeasuringError, Setting, started
from bench.record import select

Tell: TypeAlias = Callable[[str], object]

# So many that their share of a forward is far above what one process errs by.
OPERATORS = 1000
PROCESSES = 3
SECONDS = 5.0


def begin(path: Path, parameters: Parameters, machine: Machine, source: Source, tell: Tell) -> None:
    """Begin the recording ``path``: its header, and the truth as far as it is known.

    Operators and truth are those of the quiet recording where it lies beside
    this one and differs in nothing but its load.

    Raises:
        MeasuringError: if operators cannot be calibrated.
    """
    quiet = recording.path_of(path.parent, "quiet", parameters.size)
    as_quiet = msgspec.structs.replace(parameters, load="quiet")
    truths: list[Truth] = []
    operators: tuple[int, ...] = ()
    started = time.monotonic()
    if quiet != path and quiet.exists():
        known = recording.read(quiet)
        if not recording.differences(known.header, as_quiet, machine, source):
            tell(f"taking the slowed models and their true sizes from {quiet}")
            operators = known.header.operators
            truths = [
                msgspec.structs.replace(line, wall_s=0) for line in select(known.lines, Truth)
            ]
    operators = operators or calibrated(parameters, tell)
    header = Header(
        schema=SCHEMA_VERSION,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        parameters=parameters,
        operators=operators,
        machine=machine,
        source=source,
        wall_s=time.monotonic() - started,
    )
    with recording.appending(path) as writer:
        writer.append(header)
        for truth in truths:
            writer.append(truth)


def calibrated(parameters: Parameters, tell: Tell) -> tuple[int, ...]:
    """How many operators make each slowdown, from a short paired run.

    Raises:
        MeasuringError: if a process fails, or operators seem to cost nothing.
    """
    tell(f"calibrating the slowed models in {PROCESSES} processes")
    setting = Setting(parameters.size, parameters.threads, parameters.waiting)
    seconds = min(SECONDS, parameters.truth_s)
    arms = ("none", f"slowed-{OPERATORS}")
    tasks = [InRounds(seconds, seed) for seed in range(PROCESSES)]
    with started(arms, setting, tasks) as told:
        ratios = [said.ratios[1] for said in told if not isinstance(said, Alone)]
    return operators_for(parameters.slowdowns_pct, float(np.mean(ratios)) - 1)


def operators_for(slowdowns_pct: Sequence[float], overhead: float) -> tuple[int, ...]:
    """How many make each slowdown, where ``OPERATORS`` of them cost ``overhead``, a fraction.

    Raises:
        MeasuringError: if they seem to cost nothing.
    """
    if overhead <= 0:
        raise MeasuringError(
            f"{OPERATORS} operators seem to cost nothing beside the trunk: "
            "begin again when the machine is quiet"
        )
    return tuple(max(1, round(pct / 100 * OPERATORS / overhead)) for pct in slowdowns_pct)
