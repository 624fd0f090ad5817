"""The command ``gate``: from a revision to an exit code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.environment import Machine, describe_machine
from bench.gate.ci import publish, show, tell
from bench.gate.finding import Finding, compares, passes
from bench.gate.report import (
    Report,
    markdown,
    refusal,
    unchanged,
    write_json,
    write_refusal,
)
from bench.gate.revisions import Repository
from bench.gate.signals import terminated_as_by_ctrl_c
from bench.gate.timing import Gate
from bench.gate.triple import GateError, Sides
from bench.git import RevisionError
from bench.grid import Grid
from bench.trial import Path as RunPath
from bench.trial import Trial

REPORT = "gate.json"
_WRITTEN = (REPORT, "gate.png", "gate.svg")
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

    All that keeps it from comparing is one line, told wherever a verdict would be,
    and the code for that: a build must fail for a regression, and for nothing else,
    by the code of one.
    """
    with terminated_as_by_ctrl_c():
        try:
            _remove_old(request.out)
            return _gate(request)
        except (KeyboardInterrupt, asyncio.CancelledError):
            tell("interrupted; no process and no worktree is left behind")
            return INTERRUPTED
        except (RevisionError, GateError, OSError) as error:
            reason = str(error)
        except Exception as error:  # a mistake of this suite's is none of head's
            reason = f"by its own fault: {type(error).__name__}: {error}"
        return _refuse(" ".join(reason.split()), request.out)


def _gate(request: Request) -> int:
    repository = Repository.around(Path.cwd(), request.package)
    commit = repository.merge_base(request.base)
    notes = repository.notes(commit)
    if repository.is_unchanged_since(commit) and not request.even_if_equal:
        show("the report", lambda: publish(unchanged(request.package, commit, notes)))
        return PASSED
    started = time.monotonic()
    for note in notes:
        tell(f"note: {note}")
    with repository.trees(commit) as (base, head):
        sides = Sides(base, head, request.package, request.threads)
        comparison = Gate(
            sides, request.variants, request.threshold, request.budget_s, request.seed, tell
        )
        findings = asyncio.run(comparison.run())
    code = _code(findings)  # and whatever fails from here on changes nothing of it
    report = Report(
        base=commit,
        package=request.package,
        threshold=request.threshold,
        seed=request.seed,
        findings=tuple(findings),
        notes=(*notes, *comparison.accidents),
        triples=len(comparison.triples),
        rounds=sum(triple.rounds for triple in comparison.triples),
        wall_s=time.monotonic() - started,
        machine=_machine(describe_machine(), request.threads),
    )
    show("the report", lambda: publish(markdown(report)))
    show(REPORT, lambda: write_json(report, request.out / REPORT))
    if any(finding.known is not None for finding in findings):
        show("the picture", lambda: _draw(report, request.out))
    return code


def _remove_old(folder: Path) -> None:
    """What an earlier gate found would pass for what this one did."""
    try:
        for name in _WRITTEN:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        tell(f"warning: an earlier report could not be removed: {error}")


def _refuse(reason: str, folder: Path) -> int:
    show("the report", lambda: publish(refusal(reason)))
    show(REPORT, lambda: write_refusal(reason, folder / REPORT))
    tell(f"the gate could not compare: {reason}")
    return REFUSED


def _code(findings: Sequence[Finding]) -> int:
    if not passes(findings):
        return FAILED
    return PASSED if compares(findings) else REFUSED


def _draw(report: Report, folder: Path) -> None:
    from bench.gate import figure  # matplotlib takes long to import

    figure.save(report, folder)
    tell(f"{REPORT} and a picture in {folder}")


def _machine(machine: Machine, threads: int) -> str:
    return f"{machine.cpu}, {threads} thread{'s' * (threads != 1)}"
