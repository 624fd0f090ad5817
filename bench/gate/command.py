"""The command ``gate``: from a revision to an exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.environment import Machine, describe_machine
from bench.gate.ci import publish
from bench.gate.report import Report, markdown, write_json
from bench.gate.revisions import Repository, RevisionError
from bench.gate.timing import Finding, Gate, compares, passes
from bench.gate.triple import GateError, Sides
from bench.grid import Grid
from bench.trial import Path as RunPath
from bench.trial import Trial

REPORT = "gate.json"
PASSED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
# Every placement as written and fused.
GRID = Grid(reductions=(16,), paths=(RunPath(), RunPath("fused")))


@dataclass(frozen=True)
class Request:
    """What a person asked ``gate`` for; ``variants`` as `bench.protocol.Hold` has them."""

    base: str
    package: str
    variants: Mapping[str, str]
    threads: int
    threshold: float
    budget_s: float
    out: Path
    seed: int
    even_if_equal: bool


def of_trials(trials: list[Trial]) -> dict[str, str]:
    """Trials as variants of a gate; settings are named where there are several."""
    workloads = {trial.workload for trial in trials}
    return {
        _name(trial, with_workload=len(workloads) > 1): msgspec.json.encode(trial).decode()
        for trial in trials
    }


def _name(trial: Trial, *, with_workload: bool) -> str:
    name = trial.variant.key
    if with_workload:
        name += f"@{trial.workload.key}"
    return name if trial.path.is_plain else f"{name}@{trial.path.label}"


def gate(request: Request) -> int:
    """Compare with the base, tell what was found, and return the exit code.

    All that keeps it from comparing is one line, and the code for that: a build
    must fail for a regression, and for nothing else, by the code of one.
    """
    before = signal.getsignal(signal.SIGTERM)
    _interrupt_on_termination()
    try:
        return _gate(request)
    except (RevisionError, GateError, OSError) as error:
        _tell(f"the gate could not compare: {error}")
        return REFUSED
    except (KeyboardInterrupt, asyncio.CancelledError):
        _tell("interrupted; no process and no worktree is left behind")
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _gate(request: Request) -> int:
    repository = Repository.around(Path.cwd(), request.package)
    commit = repository.merge_base(request.base)
    if repository.is_unchanged_since(commit) and not request.even_if_equal:
        publish(
            f"## Timing gate: passed\n\n`{request.package}` is what it was at the base, "
            f"`{commit[:12]}`: nothing was measured.\n"
        )
        return PASSED
    started = time.monotonic()
    notes = repository.notes(commit)
    for note in notes:
        _tell(f"note: {note}")
    with repository.trees(commit) as (base, head):
        sides = Sides(base, head, request.package, request.threads)
        comparison = Gate(
            sides, request.variants, request.threshold, request.budget_s, request.seed, _tell
        )
        findings = _run(comparison)
    report = Report(
        base=commit,
        package=request.package,
        threshold=request.threshold,
        findings=tuple(findings),
        notes=tuple(notes),
        triples=len(comparison.triples),
        rounds=sum(triple.rounds for triple in comparison.triples),
        wall_s=time.monotonic() - started,
        machine=_machine(describe_machine(), request.threads),
    )
    publish(markdown(report))
    write_json(report, request.out / REPORT)
    if any(finding.known is not None for finding in findings):
        from bench.gate import figure  # matplotlib takes long to import

        figure.save(report, request.out)
    _tell(f"{REPORT} and a picture in {request.out}")
    if not passes(findings):
        return FAILED
    return PASSED if compares(findings) else REFUSED


def _run(comparison: Gate) -> list[Finding]:
    """What it finds; a signal ends its processes before it is raised."""

    async def run() -> list[Finding]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await comparison.run()

    try:
        return asyncio.run(run())
    finally:
        _interrupt_on_termination()  # the loop has undone it


def _interrupt_on_termination() -> None:
    """SIGTERM, as a cancelled build sends it, cleans up as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _machine(machine: Machine, threads: int) -> str:
    return f"{machine.cpu}, {threads} thread{'s' * (threads != 1)}"
