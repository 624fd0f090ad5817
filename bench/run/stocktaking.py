"""Counts and memory: they depend on no clock, so several workers share them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.environment import usable_cpus
from bench.protocol import CountTrials, MeasureMemory
from bench.record import Counts, Memory, Outcome, Quantity
from bench.run.sweep import Sweep
from bench.run.worker_process import WorkerDied
from bench.trial import Trial

# Trials counted per command.
CHUNK = 4


@dataclass(frozen=True)
class Job:
    """Trials of one architecture, to be counted or weighed at one command."""

    quantity: Quantity
    trials: tuple[Trial, ...]

    @property
    def architecture(self) -> str:
        return self.trials[0].variant.architecture

    @property
    def command(self) -> CountTrials | MeasureMemory:
        return (
            CountTrials(self.trials) if self.quantity == "counts" else MeasureMemory(*self.trials)
        )


async def count_and_weigh(sweep: Sweep) -> None:
    """Count and weigh what is not known yet, on as many workers as there are CPUs.

    Memory is measured in forks of a worker that has run no operator, counting
    runs operators: so no worker does both.
    """
    quantities = sweep.plan.quantities
    counting = _counting_jobs(sweep) if "counts" in quantities else []
    weighing = _weighing_jobs(sweep) if "memory" in quantities else []
    total = sum(len(job.trials) for job in (*counting, *weighing))
    if not total:
        return
    sweep.display.begin("counting and weighing", total)
    cpus = usable_cpus()
    counters = min(len(counting), cpus if not weighing else (cpus + 1) // 2)
    weighers = min(len(weighing), cpus if not counting else max(1, cpus // 2))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(counters):
                group.create_task(_work_off(sweep, counting))
            for _ in range(weighers):
                group.create_task(_work_off(sweep, weighing))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _counting_jobs(sweep: Sweep) -> list[Job]:
    wanted = dict.fromkeys(trial.counted for trial in sweep.plan.trials)
    by_architecture: dict[str, list[Trial]] = {}
    for trial in wanted:
        if trial not in sweep.ledger.counts and sweep.is_open(trial, "counts"):
            by_architecture.setdefault(trial.variant.architecture, []).append(trial)
    return [
        Job("counts", tuple(trials[start : start + CHUNK]))
        for trials in by_architecture.values()
        for start in range(0, len(trials), CHUNK)
    ]


def _weighing_jobs(sweep: Sweep) -> list[Job]:
    return [
        Job("memory", (trial,))
        for trial in sweep.plan.trials
        if trial not in sweep.ledger.memory and sweep.is_open(trial, "memory")
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
                    async for record in worker.ask(job.command):
                        sweep.record(record)
                        if isinstance(record, Counts | Memory | Outcome):
                            left.remove(record.trial)
                            sweep.display.advance()
                        if isinstance(record, Outcome):
                            told = f"{record.trial.key}: {record.status}, {record.reason}"
                            sweep.display.note(told)
                except WorkerDied as death:
                    _blame(sweep, job, left, death, jobs)
                    break


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
    sweep.record(Outcome(culprit, job.quantity, death.status, death.reason))
    sweep.display.advance()
    sweep.display.note(f"{culprit.key}: {death.reason}")
    if innocent:
        jobs.append(Job(job.quantity, tuple(innocent)))
