"""The slowed models: how much more work makes each slowdown, found once and then fixed."""

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
from bench.method.lines import SCHEMA_VERSION, Header, Parameters
from bench.method.processes import InRounds, MeasuringError, Setting, in_rounds
from bench.method.ratios import ratios

Tell: TypeAlias = Callable[[str], object]

# Rows of the convolution that slows, from less to more than any slowdown asks for.
ROWS = (10, 40, 150, 600, 2400)
PROCESSES = 4
SECONDS = 5.0


def begin(path: Path, parameters: Parameters, machine: Machine, source: Source, tell: Tell) -> None:
    """Begin the recording ``path`` with its header.

    The slowed models are those of the quiet recording where it lies beside this
    one and differs in nothing but load and waiting.

    Raises:
        MeasuringError: if they cannot be calibrated.
    """
    started = time.monotonic()
    rows = _of_quiet(path, parameters, machine, source, tell) or calibrated(parameters, tell)
    header = Header(
        schema=SCHEMA_VERSION,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        parameters=parameters,
        rows=rows,
        machine=machine,
        source=source,
        wall_s=time.monotonic() - started,
    )
    with recording.appending(path) as writer:
        writer.append(header)


def _of_quiet(
    path: Path, parameters: Parameters, machine: Machine, source: Source, tell: Tell
) -> tuple[int, ...] | None:
    quiet = recording.path_of(path.parent, "quiet", parameters.size)
    if quiet == path or not quiet.exists():
        return None
    header = recording.read(quiet).header
    like_it = msgspec.structs.replace(parameters, load="quiet", waiting=header.parameters.waiting)
    if recording.differences(header, like_it, machine, source):
        return None
    tell(f"taking the slowed models from {quiet}")
    return header.rows


def calibrated(parameters: Parameters, tell: Tell) -> tuple[int, ...]:
    """How many rows make each slowdown, from a short paired run.

    Raises:
        MeasuringError: if a process fails, or the most rows seem to cost too little.
    """
    tell(f"calibrating the slowed models in {PROCESSES} processes")
    setting = Setting(parameters.size, parameters.threads, parameters.waiting)
    seconds = min(SECONDS, parameters.truth_s)
    arms = ("none", *(f"slowed-{rows}" for rows in ROWS))
    tasks = [InRounds(seconds, seed) for seed in range(PROCESSES)]
    told = [ratios(each.said) for each in in_rounds(arms, setting, tasks)]
    return rows_for(parameters.slowdowns_pct, np.mean(told, axis=0)[1:] - 1)


def rows_for(slowdowns_pct: Sequence[float], costs: Sequence[float]) -> tuple[int, ...]:
    """How many rows make each slowdown, between nothing and what ``ROWS`` cost, as fractions.

    Raises:
        MeasuringError: if the most of them seem to cost too little.
    """
    if 100 * costs[-1] < max(slowdowns_pct):
        raise MeasuringError(
            f"{ROWS[-1]} rows must cost at least {max(slowdowns_pct):g} %, got "
            f"{100 * costs[-1]:.1f} %: begin again when the machine is quiet"
        )
    wanted = np.asarray(slowdowns_pct) / 100
    # Where noise has it that more work costs less, it costs the same.
    rising = np.maximum.accumulate([0.0, *costs])
    found = np.interp(wanted, rising, [0, *ROWS])
    return tuple(max(1, round(rows)) for rows in found)
