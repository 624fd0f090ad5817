"""Latency: passes over the blocks, each by a fresh worker, until precise or out of budget.

One worker at a time measures, and the run sleeps while a round is under way:
what it writes, computes and paints happens between rounds.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import msgspec

from bench.grid import PlannedBlock
from bench.order import balanced_orders
from bench.protocol import CloseBlock, OpenBlock, RunRound
from bench.record import Arm, Block, Outcome, Round, Visited
from bench.run.schedule import (
    LEAST_ROUNDS,
    PROCESSES,
    is_precise,
    quick_overheads,
    spent_s,
    visit_s,
)
from bench.run.sweep import Sweep
from bench.run.worker_process import WorkerDied, WorkerProcess

# A block whose workers died this often is given up for this run.
DEATHS_TO_GIVE_UP = 2
# How often the intervals that end a visit are computed.
LOOK_EVERY_S = 3.0


async def measure_latency(sweep: Sweep) -> None:
    """Visit every block until its overheads are precise, or the budget ends.

    Every block gets one visit at least.
    """
    passes = _Passes(sweep)
    while left := passes.unfinished():
        await passes.go_over(left)


class _Passes:
    """The state of the latency phase."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._blocks = sweep.plan.blocks
        self._rng = random.Random(sweep.plan.seed + len(sweep.ledger.visits))
        self._deaths: Counter[str] = Counter()
        self._finished = {block.key for block in self._blocks if self._look(block)}
        self._startup_s = 0.0
        left_s = sweep.plan.target.budget_s - spent_s(sweep.ledger, self._blocks)
        self._deadline = time.monotonic() + left_s
        visits = PROCESSES * len(self._blocks)
        sweep.display.begin("measuring, visits", visits, deadline=self._deadline)
        sweep.display.done(self._visits_done())

    def unfinished(self) -> list[PlannedBlock]:
        """The blocks that still want visits, within the budget."""
        out_of_time = time.monotonic() >= self._deadline
        return [
            block
            for block in self._blocks
            if block.key not in self._finished
            and not (out_of_time and self._sweep.ledger.visits_of(block.key))
        ]

    async def go_over(self, blocks: list[PlannedBlock]) -> None:
        """One pass; a worker that dies is replaced for the blocks behind its last."""
        waiting = self._rng.sample(blocks, len(blocks))
        while waiting := [block for block in waiting if block in self.unfinished()]:
            started = time.monotonic()
            async with self._sweep.worker() as worker:
                self._startup_s = time.monotonic() - started
                while waiting:
                    block, left = waiting.pop(), self.unfinished()
                    if block not in left:
                        continue  # out of time, or given up
                    try:
                        await self._visit(worker, block, left)
                    except WorkerDied as death:
                        self._mourn(block, death)
                        break

    async def _visit(
        self, worker: WorkerProcess, block: PlannedBlock, unfinished: list[PlannedBlock]
    ) -> None:
        sweep, visit = self._sweep, uuid.uuid4().hex[:12]
        started = time.monotonic()
        left_s = self._deadline - started
        until = started + visit_s(sweep.ledger, unfinished, left_s, self._startup_s)
        references = tuple(sweep.references.get(arm.trial.counted) for arm in block.arms)
        command = OpenBlock(block.key, visit, self._rng.getrandbits(32), block.arms, references)
        try:
            riding = await self._open(worker, command)
            if len(riding) < 2:
                self._give_up(block, riding)
                return
            orders = balanced_orders(len(riding), command.seed)
            await self._run_rounds(worker, block, orders, until)
            async for record in worker.ask(CloseBlock()):
                sweep.keep(record)
        finally:
            sweep.keep(Visited(visit, time.monotonic() - started))
        if self._look(block):
            self._finished.add(block.key)
        sweep.display.done(self._visits_done())

    def _visits_done(self) -> int:
        """Of the visits that every block should have; a finished block wants no more."""
        return sum(
            PROCESSES
            if block.key in self._finished
            else min(PROCESSES, len(self._sweep.ledger.visits_of(block.key)))
            for block in self._blocks
        )

    async def _open(self, worker: WorkerProcess, command: OpenBlock) -> tuple[Arm, ...]:
        """The arms that ride."""
        riding: tuple[Arm, ...] = ()
        async for record in worker.ask(command):
            self._sweep.keep(record)
            if isinstance(record, Block):
                riding = record.arms
            elif isinstance(record, Outcome):
                self._sweep.display.note(f"{record.trial.key}: {record.status}, {record.reason}")
        return riding

    async def _run_rounds(
        self,
        worker: WorkerProcess,
        block: PlannedBlock,
        orders: Iterator[tuple[int, ...]],
        until: float,
    ) -> None:
        """Rounds until the visit's time is over, or the block is precise."""
        looked = time.monotonic()
        for number, order in enumerate(orders, start=1):
            cpu_s = time.process_time()
            async for record in worker.ask(RunRound(order)):
                if isinstance(record, Round):
                    spent = time.process_time() - cpu_s
                    self._sweep.keep(msgspec.structs.replace(record, parent_cpu_s=spent))
            now = time.monotonic()
            if number >= LEAST_ROUNDS and now >= until:
                return
            if now - looked >= LOOK_EVERY_S:
                if self._look(block) and number >= LEAST_ROUNDS:
                    return
                looked = time.monotonic()
            self._sweep.display.tick()

    def _look(self, block: PlannedBlock) -> bool:
        """Whether the block is precise; what was seen goes on the display."""
        sweep = self._sweep
        overheads = quick_overheads(sweep.ledger, block)
        place = self._blocks.index(block) + 1
        title = f"{block.setting.architecture}, block {place} of {len(self._blocks)}"
        sweep.display.overheads(title, overheads)
        return is_precise(sweep.ledger, block, overheads, sweep.plan.target)

    def _give_up(self, block: PlannedBlock, riding: tuple[Arm, ...]) -> None:
        """No pair can be measured: what became of the trunk is also said of its variants."""
        self._finished.add(block.key)
        if riding:
            return  # alone: the variants have outcomes of their own
        trunk = self._sweep.ledger.outcomes[block.arms[0].trial, "latency"]
        for trial in block.variants:
            reason = f"its trunk: {trunk.reason}"
            self._sweep.keep(Outcome(trial, "latency", trunk.status, reason))

    def _mourn(self, block: PlannedBlock, death: WorkerDied) -> None:
        """Every arm of the block gets an outcome; after two deaths the block is given up."""
        self._deaths[block.key] += 1
        if self._deaths[block.key] >= DEATHS_TO_GIVE_UP:
            self._finished.add(block.key)
        for trial in dict.fromkeys(arm.trial for arm in block.arms):
            self._sweep.keep(Outcome(trial, "latency", death.status, death.reason))
        self._sweep.display.note(f"{block.key}: {death.reason}")
