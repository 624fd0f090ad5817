"""A plan, and what the phases that carry it out share: the journal, the ledger, workers.

Every record goes to the journal before anything is made of it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.grid import PlannedBlock
from bench.ledger import Ledger
from bench.protocol import Answer, Preparing, Reference
from bench.record import Environment, Journal, Outcome, Planned, Quantity
from bench.run.progress import Display
from bench.run.schedule import Target
from bench.run.worker_process import WorkerDied, WorkerProcess
from bench.trial import Trial

WORKER = (sys.executable, "-m", "bench.measure.worker")
# How often a worker is started before it is the installation that is to blame.
STARTS = 3


@dataclass(frozen=True)
class Plan:
    """What a run is to find out, and by which workers.

    ``timeout_s`` is how long a worker may say nothing; ``seed`` is that of
    the order of blocks and rounds; ``kept`` is the folder in which workers keep
    for each other what they export and compile.
    """

    trials: tuple[Trial, ...]
    blocks: tuple[PlannedBlock, ...]
    target: Target
    kept: Path
    quantities: tuple[Quantity, ...] = ("counts", "memory", "latency")
    timeout_s: float = 300.0
    seed: int = 0
    worker: tuple[str, ...] = WORKER


class WorkerError(RuntimeError):
    """No worker can be had that measures what this run measures, so no trial is to blame."""


class Sweep:
    """A plan under way: what the phases of a run share.

    ``references`` says what outputs ought to be, by ``Trial.plain``.
    """

    def __init__(self, plan: Plan, journal: Journal, ledger: Ledger, display: Display) -> None:
        self.plan = plan
        self.ledger = ledger
        self.display = display
        self.references: dict[Trial, Reference] = {}
        self._journal = journal
        self._told: set[str] = set()
        for trial in plan.trials:
            if trial not in ledger.planned:
                self.keep(Planned(trial))

    def keep(self, answer: Answer) -> None:
        """A record goes into the journal; a reference lives as long as the run."""
        if isinstance(answer, Reference):
            self.references[answer.trial] = answer
            return
        if isinstance(answer, Preparing):
            return
        self._journal.append(answer)
        self.ledger.add(answer)

    def tell(self, outcome: Outcome) -> None:
        """Note on the display what became of a trial; what holds for a whole path once."""
        path = outcome.trial.path.label
        what = f"all by {path}" if outcome.status == "unsupported" else outcome.trial.key
        line = f"{what}: {outcome.status}, {outcome.reason}"
        if line not in self._told:
            self._told.add(line)
            self.display.note(line)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[WorkerProcess]:
        """A fresh worker that is ready for commands; one that dies as it starts is replaced."""
        command = (*self.plan.worker, "--keep", str(self.plan.kept.absolute()))
        for start in range(1, STARTS + 1):
            async with WorkerProcess(command, timeout_s=self.plan.timeout_s) as worker:
                try:
                    async for record in worker.greet():
                        self._check_source(record)
                        self.keep(record)
                except WorkerDied as death:
                    self.display.note(f"a worker could not start: {death}")
                    if start == STARTS:
                        raise WorkerError(f"a worker could not start: {death}") from death
                    continue
                yield worker
                return

    def _check_source(self, record: Answer) -> None:
        """Code that was edited in mid-run must not be measured as if it were the old."""
        if not isinstance(record, Environment) or not self.ledger.environments:
            return
        if record.source.fingerprint != self.ledger.environments[0].source.fingerprint:
            raise WorkerError("the suite's source changed while it ran: start the run again")
