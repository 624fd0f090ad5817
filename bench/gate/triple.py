"""Three fresh processes, of the base, of head and of the base again, whose forwards take turns.

Who starts first is drawn by lot, and takes turns over triples, so that what the first
process has of the machine is nobody's. All three hold all variants. A round runs a variant once
in each, in balanced order; only one process runs at a time, and the others sleep.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.order import balanced_orders
from bench.protocol import Command, Held, Hold, RunHeld, Sample, Tree
from bench.run.worker_process import WorkerDied, WorkerProcess
from bench.stats import Array
from bench.waiting import environment

T = TypeVar("T")

PROCESS = (sys.executable, "-P", "-m", "bench.measure.candidate_process")
# How long one may say nothing, as while it builds kernels.
TIMEOUT_S = 300.0
_SUITE = Path(__file__).resolve().parents[2]
# The arms of a round: head is held against both of the base.
BASE, HEAD, CONTROL = range(3)
ROLES = ("base", "head", "base")
# A median of fewer is little better than a single one.
LEAST_ROUNDS = 5
# Rounds go on for so much longer than starting took: a process has an effect of its own, which only
# more processes average out.
MEASURE_OVER_START = 1.5


class GateError(RuntimeError):
    """Nothing can be compared, whatever the variant, and why."""


class DiedError(GateError):
    """A process that had started died; another may not."""


@dataclass(frozen=True)
class Failure:
    """Why a process could not hold a variant; ``lacking`` if its tree has none of that name."""

    reason: str
    lacking: bool = False


@dataclass(frozen=True)
class Sides:
    """Where base and head lie, and how their processes are started.

    Args:
        base, head: folders that hold the package and nothing else.
        package: its name as imported.
        threads: of every forward.
    """

    base: Path
    head: Path
    package: str
    threads: int

    def tree(self, role: int) -> Path:
        return self.head if role == HEAD else self.base

    def process(self, role: int) -> WorkerProcess:
        """A process, not yet started, that finds the package in its side's folder."""
        flags = ("--package", self.package, "--threads", str(self.threads))
        # Their threads sleep at once when they are done: a spinning one would disturb whose turn
        # it is. This suite comes behind the tree, which holds nothing but the package, and what
        # the caller has told Python comes last: it may well hold the package too.
        caller = os.environ.get("PYTHONPATH")
        paths = [str(self.tree(role)), str(_SUITE), *([caller] if caller else [])]
        variables = environment("passive") | {"PYTHONPATH": os.pathsep.join(paths)}
        return WorkerProcess((*PROCESS, *flags), timeout_s=TIMEOUT_S, environment=variables)


@dataclass
class Triple:
    """What three processes measured: per variant a row of (base, head, control) for each round.

    ``failures`` has the reason why a side could not hold a variant, by variant and role.
    """

    times_s: dict[str, Array] = field(default_factory=dict)
    failures: dict[tuple[str, int], Failure] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def rounds(self) -> int:
        """Of all variants together."""
        return sum(map(len, self.times_s.values()))


@dataclass(frozen=True)
class Turn:
    """What one triple is told.

    Args:
        start_order: of the roles.
        seed: of all other orders.
        most_s: what starting and measuring may take together; a few rounds are run anyway.
    """

    start_order: Sequence[int]
    seed: int
    most_s: float


def turns(seed: int, most_s: float) -> Iterator[Turn]:
    """Endless; in every three, each role starts first once, second once and last once."""
    rng = random.Random(seed)
    while True:
        roles = rng.sample(range(len(ROLES)), len(ROLES))
        for shift in range(len(ROLES)):
            yield Turn((*roles[shift:], *roles[:shift]), rng.getrandbits(32), most_s)


async def measure_triple(
    sides: Sides, variants: Mapping[str, str], turn: Turn, tell: Callable[[str], None]
) -> Triple:
    """Start three processes, let them take turns, and end them.

    Args:
        sides: of the comparison; kernels that it must build were built before, or building
            would pass for starting.
        variants: by their names, each as `bench.protocol.Hold` has it.
        turn: of this triple.
        tell: is given a line now and then.

    Raises:
        GateError: if a process cannot start; DiedError if one dies after that.
    """
    started = time.monotonic()
    triple = Triple()
    async with AsyncExitStack() as stack:
        processes = await _start(sides, turn.start_order, stack)
        places = await _hold(processes, variants, triple.failures)
        if places:
            tell("measuring")
            start_s = time.monotonic() - started
            measure_s = min(MEASURE_OVER_START * start_s, turn.most_s - start_s)
            await _take_turns(processes, places, turn.seed, measure_s, triple)
    triple.wall_s = time.monotonic() - started
    return triple


async def hold_apart(
    sides: Sides, variants: Mapping[str, str], roles: Sequence[int]
) -> dict[tuple[str, int], Failure]:
    """Why processes of these roles, which measure nothing, cannot hold a variant.

    What they build for it, others find built.

    Raises:
        GateError: as `measure_triple` does.
    """
    failures: dict[tuple[str, int], Failure] = {}
    async with AsyncExitStack() as stack:
        await _hold(await _start(sides, roles, stack), variants, failures)
    return failures


async def _start(
    sides: Sides, order: Sequence[int], stack: AsyncExitStack
) -> dict[int, WorkerProcess]:
    """A process of each role, which ends with the stack."""
    processes = {role: await stack.enter_async_context(sides.process(role)) for role in order}
    await _all(_greet(sides, role, process) for role, process in processes.items())
    return processes


async def _greet(sides: Sides, role: int, process: WorkerProcess) -> None:
    """Make sure that what the process has imported is its side's."""
    try:
        tree = await process.one(Tree)
    except WorkerDied as death:
        raise GateError(f"{ROLES[role]} cannot import {sides.package}: {death}") from death
    if not Path(tree.file).resolve().is_relative_to(sides.tree(role).resolve()):
        raise GateError(f"{ROLES[role]} has found {sides.package} in {tree.file}, not in its tree")


async def _hold(
    processes: Mapping[int, WorkerProcess],
    variants: Mapping[str, str],
    failures: dict[tuple[str, int], Failure],
) -> dict[str, dict[int, int]]:
    """Where each process holds the variants that all can hold; others are added to ``failures``."""
    held: dict[tuple[str, int], int] = {}

    async def hold_all(role: int, process: WorkerProcess) -> None:
        for name, what in variants.items():
            answer = await _ask(role, process, Held, Hold(what))
            if answer.place is None:
                reason = answer.reason or "no reason was given"
                failures[name, role] = Failure(reason, answer.lacking)
            else:
                held[name, role] = answer.place

    await _all(hold_all(role, process) for role, process in processes.items())
    everywhere = [name for name in variants if all((name, role) in held for role in processes)]
    return {name: {role: held[name, role] for role in processes} for name in everywhere}


async def _take_turns(
    processes: Mapping[int, WorkerProcess],
    places: Mapping[str, Mapping[int, int]],
    seed: int,
    seconds: float,
    triple: Triple,
) -> None:
    """Rounds for so long, and a few at least; the first, which wakes everything, is left out."""
    rng = random.Random(seed)
    orders = {name: balanced_orders(len(ROLES), rng.getrandbits(32)) for name in places}
    rows: dict[str, list[list[float]]] = {name: [] for name in places}
    end = time.monotonic() + seconds
    number = 0
    while number <= LEAST_ROUNDS or time.monotonic() < end:
        for name in rng.sample(list(places), len(places)):
            times_s = [0.0] * len(ROLES)
            for role in next(orders[name]):
                command = RunHeld(places[name][role])
                sample = await _ask(role, processes[role], Sample, command)
                times_s[role] = sample.wall_s
            rows[name].append(times_s)
        number += 1
    triple.times_s = {name: np.array(times[1:]) for name, times in rows.items()}


async def _ask(role: int, process: WorkerProcess, kind: type[T], command: Command) -> T:
    """The answer of a role's process; one that dies is named by its role."""
    try:
        return await process.one(kind, command)
    except WorkerDied as death:
        raise DiedError(f"a process of {ROLES[role]} died: {death}") from death


async def _all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all at once; what one raises is raised as it is, and the others end."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
