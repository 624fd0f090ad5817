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
from bench.protocol import CloseBlock, OpenBlock, Preparing, RunRound
from bench.record import Arm, Block, Outcome, Round, Visited
from bench.run.agenda import Agenda
from bench.run.schedule import LEAST_ROUNDS, measuring_s, startup_s
from bench.run.sweep import Sweep
from bench.run.worker_process import WorkerDied, WorkerProcess
from bench.trial import ExecutorName

# A block whose workers died this often is given up for this run.
DEATHS_TO_GIVE_UP = 2
# How often the intervals that end a visit are computed.
LOOK_EVERY_S = 3.0
# What they compile they keep, the weights in it too, until their process ends.
_HOARDERS: tuple[ExecutorName, ...] = ("compile", "compile_freezing")


async def measure_latency(sweep: Sweep) -> None:
    """Visit the blocks until all overheads are precise, or the budget ends."""
    agenda = Agenda(sweep.ledger, sweep.plan.blocks, sweep.plan.target)
    passes = _Passes(sweep, agenda)
    while left := agenda.left(passes.startup_s):
        await passes.go_over(left)


class _Passes:
    """The state of the latency phase."""

    def __init__(self, sweep: Sweep, agenda: Agenda) -> None:
        self._sweep = sweep
        self._agenda = agenda
        self._rng = random.Random(sweep.plan.seed + len(sweep.ledger.visits))
        self._deaths: Counter[str] = Counter()
        self.startup_s = startup_s(sweep.ledger)
        blocks = sweep.plan.blocks
        intervals = sum(len(block.judged) for block in blocks)
        sweep.display.begin("measuring, precise", intervals, deadline=agenda.deadline)
        for block in blocks:
            self._show(block)

    async def go_over(self, blocks: list[PlannedBlock]) -> None:
        """One pass; a worker that dies is replaced for the blocks behind its last."""
        waiting = self._rng.sample(blocks, len(blocks))
        while waiting := [b for b in waiting if b in self._agenda.left(self.startup_s)]:
            started = time.monotonic()
            async with self._sweep.worker() as worker:
                self.startup_s = time.monotonic() - started
                while waiting:
                    block, left = waiting.pop(), self._agenda.left()
                    if block not in left:
                        continue  # out of time
                    try:
                        await self._visit(worker, block, left)
                    except WorkerDied as death:
                        self._mourn(block, death)
                        break
                    if block.setting.path.executor in _HOARDERS:
                        break

    async def _visit(
        self, worker: WorkerProcess, block: PlannedBlock, left: list[PlannedBlock]
    ) -> None:
        sweep, visit = self._sweep, uuid.uuid4().hex[:12]
        started = time.monotonic()
        references = tuple(sweep.references.get(arm.trial.plain) for arm in block.arms)
        command = OpenBlock(block.key, visit, self._rng.getrandbits(32), block.arms, references)
        try:
            riding = await self._open(worker, command)
            if len(riding) < 2:
                self._give_up(block, riding)
                return
            orders = balanced_orders(len(riding), command.seed)
            ready = time.monotonic()
            left_s = self._agenda.deadline - ready
            until = ready + measuring_s(sweep.ledger, block, left, left_s, self.startup_s)
            await self._run_rounds(worker, block, visit, orders, until)
            async for record in worker.ask(CloseBlock()):
                sweep.keep(record)
        finally:
            sweep.keep(Visited(visit, time.monotonic() - started))
        self._agenda.visited(block)
        self._show(block)

    async def _open(self, worker: WorkerProcess, command: OpenBlock) -> tuple[Arm, ...]:
        """The arms that ride."""
        riding: tuple[Arm, ...] = ()
        async for record in worker.ask(command):
            self._sweep.keep(record)
            if isinstance(record, Preparing):
                self._sweep.display.preparing(record.arm)
            elif isinstance(record, Block):
                riding = record.arms
            elif isinstance(record, Outcome):
                self._sweep.tell(record)
        return riding

    async def _run_rounds(
        self,
        worker: WorkerProcess,
        block: PlannedBlock,
        visit: str,
        orders: Iterator[tuple[int, ...]],
        until: float,
    ) -> None:
        """Rounds until the time is over, the block is precise, or the machine broke down."""
        sweep = self._sweep
        look_at = time.monotonic() + LOOK_EVERY_S
        for number, order in enumerate(orders, start=1):
            cpu_s = time.process_time()
            async for record in worker.ask(RunRound(order)):
                if isinstance(record, Round):
                    spent = time.process_time() - cpu_s
                    sweep.keep(msgspec.structs.replace(record, parent_cpu_s=spent))
            now = time.monotonic()
            if number >= LEAST_ROUNDS and now >= until:
                return
            if now >= look_at:
                self._agenda.look(block)
                self._show(block)
                is_broken = sweep.ledger.is_broken(sweep.ledger.visits[visit])
                settled = self._agenda.is_precise(block) or is_broken
                if settled and number >= LEAST_ROUNDS:
                    return
                look_at = time.monotonic() + LOOK_EVERY_S
            sweep.display.tick()

    def _show(self, block: PlannedBlock) -> None:
        """What was last seen of the block, on the display."""
        sweep = self._sweep
        blocks = sweep.plan.blocks
        title = f"{block.setting.architecture}, block {blocks.index(block) + 1} of {len(blocks)}"
        sweep.display.overheads(title, self._agenda.overheads(block))
        sweep.display.done(self._agenda.precise_arms)

    def _give_up(self, block: PlannedBlock, riding: tuple[Arm, ...]) -> None:
        """No pair can be measured: what became of the trunk is also said of its variants."""
        self._agenda.give_up(block)
        if riding:
            return  # alone: the variants have outcomes of their own
        trunk = self._sweep.ledger.outcomes[block.arms[0].trial, "latency"]
        is_of_all = trunk.status == "unsupported"
        reason = trunk.reason if is_of_all else f"its trunk: {trunk.reason}"
        for trial in block.variants:
            self._sweep.keep(Outcome(trial, "latency", trunk.status, reason))

    def _mourn(self, block: PlannedBlock, death: WorkerDied) -> None:
        """Every trial of the block gets an outcome; after two deaths the block is given up."""
        self._deaths[block.key] += 1
        if self._deaths[block.key] >= DEATHS_TO_GIVE_UP:
            self._agenda.give_up(block)
        # The eager trunk beside another path only rides along, and has a block of its own.
        own = (arm.trial for arm in block.arms if arm.role != "eager")
        for trial in dict.fromkeys(own):
            self._sweep.keep(Outcome(trial, "latency", death.status, death.reason))
        self._sweep.display.note(f"{block.key}: {death.reason}")
        self._agenda.look(block)
        self._show(block)
