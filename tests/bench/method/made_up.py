"""Recordings whose numbers are known by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.environment import Machine, Source
from bench.method.lines import (
    SCHEMA_VERSION,
    Alone,
    Header,
    Line,
    Paired,
    Parameters,
    Rounds,
    Sequential,
    Truth,
)
from bench.method.load import Load
from bench.method.recording import Recording, appending, path_of
from bench.method.rivals import RIVALS, Told

MACHINE = Machine(
    cpu="a CPU", cpus=2, available_cpus=2, cores=2, quota_cpus=None, memory_bytes=2**34, gpus=(),
    gpu_driver=None, system="a system", python="3.11", packages={}, openmp={},
)  # fmt: skip
OTHER_MACHINE = dataclasses.replace(MACHINE, cpu="another CPU")
SOURCE = Source("abc", None, None)
ASKED = Parameters(
    load="quiet", waiting="deployed", size=64, threads=2, processes=2, length_s=5.0,
    equal_models=2, slowdowns_pct=(1.0, 5.0), truth_processes=2, truth_s=20.0, seed=0,
)  # fmt: skip


def asked(load: Load, **changes: object) -> Parameters:
    return msgspec.structs.replace(ASKED, load=load, **changes)


def header(parameters: Parameters = ASKED) -> Header:
    return Header(SCHEMA_VERSION, "now", parameters, (20, 100), MACHINE, SOURCE, 3.0)


def truth(process: int, *overheads: float) -> Truth:
    """Of the slowed models; the equal ones were measured to be equal."""
    ratios = (1.0, 1.0, 1.0, *(1 + each for each in overheads))
    return Truth(process, "quiet", "deployed", Rounds(ratios, 100, 0.9), 20.0)


def paired(number: int, process: int, *overheads: float, inside: float = 0.9) -> Paired:
    """``overheads`` of all arms but the trunk."""
    ratios = (1.0, *(1 + each for each in overheads))
    return Paired(number, process, "deployed", Rounds(ratios, 100, inside), 10.0)


def sequential(number: int, **times: Sequence[float]) -> Sequential:
    """Times of all arms by rival (``a``, ``b``, ``c``); each with an error of 1 %, of 100.

    The second of the equal models and the first slowed one ran next to the trunk.
    """
    told = {
        rival: tuple(Told(time_s, 0.01 * time_s, 100) for time_s in times[name])
        for rival, name in zip(RIVALS, "abc", strict=True)
    }
    return Sequential(number, "deployed", Alone((1, 2, 0, 3, 4), told), 15.0)


def one_set(number: int, overheads: Sequence[float], times: Sequence[float]) -> list[Line]:
    """Both processes say nearly the same, all rivals exactly the same."""
    lower = [each - 1e-6 for each in overheads]
    upper = [each + 1e-6 for each in overheads]
    return [
        paired(number, 0, *lower), paired(number, 1, *upper),
        sequential(number, a=times, b=times, c=times),
    ]  # fmt: skip


def recording(*sets: tuple[Sequence[float], Sequence[float]], load: Load = "quiet") -> Recording:
    """Of sets, each with what this suite and what the rivals say; true are 1.1 and 5 %."""
    lines: list[Line] = [truth(0, 0.010, 0.049), truth(1, 0.012, 0.051)]
    for number, (overheads, times) in enumerate(sets):
        lines += one_set(number, overheads, times)
    return Recording(header(asked(load)), tuple(lines))


def written(folder: Path, content: Recording) -> Path:
    asked = content.header.parameters
    path = path_of(folder, asked.load, asked.size)
    with appending(path) as writer:
        for line in (content.header, *content.lines):
            writer.append(line)
    return path
