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
# By how much a set's two processes differ from their mean, as a fraction.
APART = 1e-4
# Of a forward of the trunk.
TRUNK_NS = 10_000_000
# Between the quartiles of an arm's own times, as a fraction of their median.
JITTER = 0.08

# What this suite says of the equal and the slowed models, then the rivals' times of all arms.
TRUE = ((0.0, 0.0, 0.011, 0.05), (1.0, 1.0, 1.0, 1.011, 1.05))
OFF = ((0.002, -0.002, 0.013, 0.05), (1.0, 1.02, 0.90, 0.99, 1.20))


def asked(load: Load, **changes: object) -> Parameters:
    return msgspec.structs.replace(ASKED, load=load, **changes)


def header(parameters: Parameters = ASKED) -> Header:
    return Header(SCHEMA_VERSION, "now", parameters, (20, 100), MACHINE, SOURCE, 3.0)


def in_rounds(*overheads: float, inside: float = 0.9, shaken: float = 0.0) -> Rounds:
    """Three rounds of the trunk and of arms with these overheads, in two of which all is slower.

    With ``shaken`` the arms are that much faster in one round and slower in the other.
    """
    rounds = [
        tuple(
            round(factor * TRUNK_NS * (1 + over) * (1 + (shake if place else 0)))
            for place, over in enumerate((0.0, *overheads))
        )
        for factor, shake in ((1.0, 0.0), (1.5, shaken), (2.0, -shaken))
    ]
    span_s = 1e-9 * sum(map(sum, rounds)) / inside
    return Rounds(tuple(rounds), tuple(rounds), span_s, 0, 0.0)


def truth(process: int, *overheads: float) -> Truth:
    """Of the slowed models; the equal ones were measured to be equal."""
    return Truth(2.0, 20.0, process=process, said=in_rounds(0.0, 0.0, *overheads))


def paired(
    number: int, process: int, *overheads: float, inside: float = 0.9, shaken: float = 0.0
) -> Paired:
    """``overheads`` of all arms but the trunk."""
    said = in_rounds(*overheads, inside=inside, shaken=shaken)
    return Paired(1.0, 9.0, set=number, process=process, said=said)


def sequential(number: int, *ratios: float, jitter: float = JITTER) -> Sequential:
    """Fifty-one forwards of every arm, whose typical ones stand to the trunk's as the ratios do.

    The second of the equal models and the first slowed one ran next to the trunk.
    """
    wave = [1 + jitter * ((place % 5) - 2) / 2 for place in range(51)]
    wall_ns = tuple(tuple(round(TRUNK_NS * ratio * each) for each in wave) for ratio in ratios)
    return Sequential(1.0, 14.0, set=number, said=Alone((1, 2, 0, 3, 4), wall_ns, 1e-7))


def one_set(number: int, overheads: Sequence[float], ratios: Sequence[float]) -> list[Line]:
    """Both processes say nearly the same, all rivals that of the raw times."""
    lower = [each - APART for each in overheads]
    upper = [each + APART for each in overheads]
    return [
        paired(number, 0, *lower), paired(number, 1, *upper), sequential(number, *ratios),
    ]  # fmt: skip


def recording(*sets: tuple[Sequence[float], Sequence[float]], load: Load = "quiet") -> Recording:
    """Of sets, each with what this suite and what the rivals say; true are 1.1 and 5 %."""
    lines: list[Line] = [truth(0, 0.010, 0.049), truth(1, 0.012, 0.051)]
    for number, (overheads, ratios) in enumerate(sets):
        lines += one_set(number, overheads, ratios)
    return Recording(header(asked(load)), tuple(lines))


def written(folder: Path, content: Recording) -> Path:
    asked = content.header.parameters
    path = path_of(folder, asked.load, asked.size)
    with appending(path) as writer:
        for line in (content.header, *content.lines):
            writer.append(line)
    return path
