"""What depends on no clock, so that several workers share it: counts, memory, references."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from bench.cpus import usable_cpus
from bench.protocol import Answer, Command, CountTrials, MakeReferences, MeasureMemory, Reference
from bench.record import Counts, Memory, Outcome, Quantity
from bench.run.agenda import Agenda
from bench.run.schedule import startup_s
from bench.run.sweep import Sweep
from bench.run.worker_process import WorkerDied
from bench.trial import Device, Trial

# Trials per command.
CHUNK = 4


@dataclass(frozen=True)
class Job:
    """Trials of one architecture, for one command; ``quantity`` is what a failure leaves out."""

    command: Callable[[tuple[Trial, ...]], Command]
    quantity: Quantity
    trials: tuple[Trial, ...]

    @property
    def architecture(self) -> str:
        return self.trials[0].variant.architecture


async def take_stock(sweep: Sweep) -> None:
    """Count, weigh and compute references where not done yet, on as many workers as CPUs.

    Memory of the CPU is measured in forks of a worker that has run no
    operator; all else runs operators. So no worker does both.
    """
    quantities = sweep.plan.quantities
    computing = [
        *(_counting_jobs(sweep) if "counts" in quantities else ()),
        *(_reference_jobs(sweep) if "latency" in quantities else ()),
        *(_weighing_jobs(sweep, "cuda") if "memory" in quantities else ()),
    ]
    weighing = _weighing_jobs(sweep, "cpu") if "memory" in quantities else []
    total = sum(len(job.trials) for job in (*computing, *weighing))
    if not total:
        return
    sweep.display.begin("taking stock", total)
    cpus = usable_cpus()
    computers = min(len(computing), cpus if not weighing else (cpus + 1) // 2)
    weighers = min(len(weighing), cpus if not computing else max(1, cpus // 2))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(computers):
                group.create_task(_work_off(sweep, computing))
            for _ in range(weighers):
                group.create_task(_work_off(sweep, weighing))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _counting_jobs(sweep: Sweep) -> list[Job]:
    wanted = dict.fromkeys(trial.counted for trial in sweep.plan.trials)
    return _chunks(
        CountTrials,
        "counts",
        (
            trial
            for trial in wanted
            if trial not in sweep.ledger.counts and sweep.ledger.is_open(trial, "counts")
        ),
    )


def _reference_jobs(sweep: Sweep) -> list[Job]:
    """For what will ride: a run that has nothing left to measure needs none."""
    agenda = Agenda(sweep.ledger, sweep.plan.blocks, sweep.plan.target)
    left = agenda.left(startup_s(sweep.ledger))
    riders = (arm.trial.plain for block in left for arm in block.arms)
    return _chunks(MakeReferences, "latency", dict.fromkeys(riders))


def _chunks(
    command: Callable[[tuple[Trial, ...]], Command], quantity: Quantity, trials: Iterable[Trial]
) -> list[Job]:
    by_architecture: dict[str, list[Trial]] = {}
    for trial in trials:
        by_architecture.setdefault(trial.variant.architecture, []).append(trial)
    return [
        Job(command, quantity, tuple(own[start : start + CHUNK]))
        for own in by_architecture.values()
        for start in range(0, len(own), CHUNK)
    ]


def _weighing_jobs(sweep: Sweep, device: Device) -> list[Job]:
    return [
        Job(lambda trials: MeasureMemory(*trials), "memory", (trial,))
        for trial in sweep.plan.trials
        if trial.workload.device == device
        and trial not in sweep.ledger.memory
        and sweep.ledger.is_open(trial, "memory")
    ]


async def _work_off(sweep: Sweep, jobs: list[Job]) -> None:
    """Take jobs until none is left, with another worker when one dies."""
    architecture = ""
    while jobs:
        async with sweep.worker() as worker:
            while jobs:
                job = _next_job(jobs, architecture)
                architecture = job.architecture
                left = list(job.trials)
                try:
                    async for answer in worker.ask(job.command(job.trials)):
                        if isinstance(answer, Counts | Memory | Outcome | Reference):
                            left.remove(answer.trial)
                        _keep(sweep, answer)
                except WorkerDied as death:
                    _blame(sweep, job, left, death, jobs)
                    break


def _keep(sweep: Sweep, answer: Answer) -> None:
    if isinstance(answer, Outcome):
        _keep_failure(sweep, answer)
    else:
        sweep.keep(answer)
        sweep.display.advance()


def _keep_failure(sweep: Sweep, outcome: Outcome) -> None:
    """Without a reference, no trial that shares it has a latency."""
    trials = [outcome.trial]
    if outcome.quantity == "latency":
        arms = (arm for block in sweep.plan.blocks for arm in block.arms)
        trials = list(dict.fromkeys(arm.trial for arm in arms if arm.trial.plain == outcome.trial))
    for trial in trials:
        sweep.keep(msgspec.structs.replace(outcome, trial=trial))
    sweep.tell(outcome)
    sweep.display.advance()


def _next_job(jobs: list[Job], architecture: str) -> Job:
    """A job of the architecture at hand, whose trunk stands; else of that with most left."""
    if all(job.architecture != architecture for job in jobs):
        architecture = Counter(job.architecture for job in jobs).most_common(1)[0][0]
    place = next(n for n, job in enumerate(jobs) if job.architecture == architecture)
    return jobs.pop(place)


def _blame(
    sweep: Sweep, job: Job, left: Sequence[Trial], death: WorkerDied, jobs: list[Job]
) -> None:
    """The trial under way when the worker died gets an outcome; the others wait on."""
    if not left:
        return
    culprit, *innocent = left
    _keep_failure(sweep, Outcome(culprit, job.quantity, death.status, death.reason))
    if innocent:
        jobs.append(replace(job, trials=tuple(innocent)))
