"""Records of runs that never were, with known costs and known noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.environment import Machine, Runtime, Source
from bench.grid import Grid, plan_blocks
from bench.record import Block, Counts, Environment, Planned, Record, Round

MACHINE = Machine(
    cpu="made up", cpus=2, available_cpus=2, cores=2, quota_cpus=None, memory_bytes=2**34, gpus=(),
    gpu_driver=None, system="Linux", python="3.11", packages={"torch": "2.9"}, openmp={},
)  # fmt: skip
RUNTIME = Runtime("2.9", 2, "AVX2", True, None, None, False, True, False)
SOURCE = Source("aaaa", "c0ffee", None)
# A block is full with six variants: r = 128 has one of its own.
GRID = Grid(placements=("standard",), reductions=(2, 4, 8, 16, 32, 64, 128))


def environment(**changes: Any) -> Environment:
    made = Environment("worker", MACHINE, SOURCE, RUNTIME, 0.0)
    for name, value in changes.items():
        part = next(p for p in ("machine", "runtime", "source") if hasattr(getattr(made, p), name))
        parts = {p: getattr(made, p) for p in ("machine", "runtime", "source")}
        made = Environment(
            "worker", **(parts | {part: replace(parts[part], **{name: value})}), startup_s=0.0
        )
    return made


def records(
    costs: Mapping[str, float],
    *,
    grid: Grid = GRID,
    processes: int = 6,
    shared_sd: float = 0.0,
    own_sd: float = 0.001,
    control: float = 0.0,
    seed: int = 0,
    params: Mapping[str, int] | None = None,
    environments: Sequence[Environment] = (environment(),),
) -> list[Record]:
    """A run of ``processes`` visits of nine rounds to each block.

    In a process all variants are hit alike by what has ``shared_sd``, and each
    by what has ``own_sd``; a variant costs 5 % unless ``costs`` says otherwise.
    """
    rng = np.random.default_rng(seed)
    trials = grid.trials()
    made: list[Record] = [*environments, *map(Planned, trials)]
    for trial in dict.fromkeys(each.counted for each in trials):
        count = (params or {}).get(trial.variant.se.label, 1000)
        made.append(Counts(trial, count, 10, 2000, 30, 4000, 50, 6000))
    for block in plan_blocks(trials):
        arms, order = block.arms, tuple(range(len(block.arms)))
        for number in range(processes):
            visit = f"{block.key} {number}"
            made.append(Block(block.key, visit, visit, 0, arms, (), (0.0,) * len(arms), 1, 0.0))
            hit = rng.normal(0, shared_sd)
            times = tuple(
                1.0 if arm.role == "trunk"
                else 1 + control + rng.normal(0, own_sd) if arm.role == "control"
                else (1 + costs.get(arm.trial.variant.se.label, 0.05) + rng.normal(0, own_sd))
                * math.exp(hit)
                for arm in arms
            )  # fmt: skip
            made += [Round(visit, order, times, 0.0, 1.0, 0, 0.0, 0.0)] * 9
    return made
