"""The experiment: equal revisions, in quiet and under load, and a slower one, each run by both.

Runs come in blocks of one of each kind, in an order that is drawn, so that
whatever has been recorded is balanced.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cpus import usable_cpus
from bench.environment import describe_machine
from bench.gate.proof import lines
from bench.gate.proof.lines import KINDS, RECORDING, SCHEMA_VERSION, Header, Kind, Parameters, Ran
from bench.gate.proof.pair import Pair, calibrated, committed, pair
from bench.gate.proof.runs import run_gate, run_rival
from bench.method.load import under

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """When to stop: after so many runs of each kind, or so much wall time, earlier ones' included.

    A run that would likely end later is not begun.
    """

    blocks: int
    budget_s: float


@dataclass(frozen=True)
class Step:
    """A run to come; ``seed`` is the gate's."""

    number: int
    kind: Kind
    rival_first: bool
    seed: int


def steps(parameters: Parameters, blocks: int) -> list[Step]:
    """All runs in their order; in every two blocks each tool comes first once for each kind."""
    rng = random.Random(parameters.seed)
    found: list[Step] = []
    first: dict[Kind, bool] = {}
    for block in range(blocks):
        for kind in rng.sample(KINDS, len(KINDS)):
            first[kind] = not first[kind] if block % 2 else rng.random() < 0.5
            found.append(Step(len(found), kind, first[kind], rng.getrandbits(31)))
    return found


def record(root: Path, folder: Path, parameters: Parameters, effort: Effort, tell: Tell) -> Path:
    """Record, or go on recording, until the effort is spent; the path of the recording.

    Ctrl-C loses the run under way and nothing else. Another machine may go on: each
    run compares within its own minutes.

    Args:
        root: the repository whose gate is tried.
        folder: of the recording.
        parameters: of all runs.
        effort: when to stop.
        tell: is given a line now and then.

    Raises:
        RefusedError: if there is a recording of anything else.
        RevisionError: if what is measured is not committed.
        MeasuringError, RuntimeError: if something cannot be measured at all.
    """
    commit, path = committed(root), folder / RECORDING
    is_new = not path.exists() or not path.stat().st_size
    with lines.appending(path) as append:
        header, runs = None, []
        if not is_new:
            known = lines.read(path)
            header, runs = known.header, list(known.runs)
            lines.check_same(path, header, parameters, commit)
        if header is None or header.machine.differences(describe_machine()):
            header = _header(commit, parameters, tell)
            append(header)
        with pair(root, header.rows) as revisions:
            for step in missing(steps(parameters, effort.blocks), runs):
                if not _has_time_for(step.kind, runs, effort.budget_s):
                    tell("the next run would not end within the budget")
                    break
                ran = compare(step, revisions, parameters)
                append(ran)
                runs.append(ran)
                tell(_summary(ran, len(KINDS) * effort.blocks))
    return path


def _header(commit: str, parameters: Parameters, tell: Tell) -> Header:
    """Of this machine, on which the work that slows is found first."""
    return Header(
        schema=SCHEMA_VERSION,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=commit,
        parameters=parameters,
        machine=describe_machine(),
        rows=calibrated(parameters, tell),
    )


def missing(planned: Sequence[Step], runs: Sequence[Ran]) -> list[Step]:
    """Those that are not recorded yet."""
    known = {run.number for run in runs}
    return [step for step in planned if step.number not in known]


def compare(step: Step, revisions: Pair, parameters: Parameters) -> Ran:
    """One run, by both tools."""
    started_s = time.monotonic()
    head = revisions.slowed if step.kind == "slowed" else revisions.equal
    base = "HEAD~1" if step.kind == "slowed" else "HEAD"
    with under("loaded" if step.kind == "loaded" else "quiet", usable_cpus()):
        if step.rival_first:
            rival = run_rival(revisions.equal, head, parameters)
            gate = run_gate(head, base, parameters, step.seed)
        else:
            gate = run_gate(head, base, parameters, step.seed)
            rival = run_rival(revisions.equal, head, parameters)
    taken_s = time.monotonic() - started_s
    return Ran(step.number, step.kind, step.rival_first, gate, rival, taken_s)


def _has_time_for(kind: Kind, runs: Sequence[Ran], budget_s: float) -> bool:
    """Whether one more of a kind ends in time, if it takes as long as the longest before it."""
    likely_s = max((run.taken_s for run in runs if run.kind == kind), default=0.0)
    return sum(run.taken_s for run in runs) + likely_s <= budget_s


def _summary(ran: Ran, planned: int) -> str:
    return (
        f"run {ran.number + 1} of {planned}, {ran.kind}, {ran.taken_s:.0f} s: the gate ended with "
        f"{ran.gate.code}, pytest-benchmark with {ran.rival.code}"
    )
