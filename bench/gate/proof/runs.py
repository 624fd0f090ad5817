"""One run of the gate, and one of what many projects do instead: as their commands are called."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from bench.gate.ci import SUMMARY
from bench.gate.command import REPORT, of_trials
from bench.gate.proof.lines import GateSaid, Parameters, RivalSaid
from bench.grid import Grid
from bench.method.pytest_sessions import Forwards, medians_s, run, session, without
from bench.trial import Path as RunPath
from se_models.config import Placement

PLACEMENTS: tuple[Placement, ...] = ("standard", "inner")
# By how much a median may be larger; as many projects have it.
RIVAL_LIMIT = "median:5%"


def run_gate(head: Path, base: str, parameters: Parameters, seed: int) -> GateSaid:
    """What ``python -m bench gate`` says in a clone.

    Args:
        head: the clone.
        base: revision in it.
        parameters: of the proof.
        seed: of the gate.
    """
    with tempfile.TemporaryDirectory(prefix="se-bench-proof-") as out:
        command = (
            "-m", "bench", "gate", "--base", base, "--even-if-equal",
            "--placements", ",".join(PLACEMENTS), "--paths", "eager",
            "--size", f"{parameters.size}", "--threads", f"{parameters.threads}",
            "--budget", f"{parameters.gate_s}", "--seed", f"{seed}", "--out", out,
        )  # fmt: skip
        ended = run(command, head, without(os.environ, SUMMARY))
        report = Path(out) / REPORT
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    variants = found.get("variants", [])
    return GateSaid(
        code=ended.code,
        verdicts={each["variant"]: each["verdict"] for each in variants},
        changes_pct={each["variant"]: each["change_pct"] for each in variants},
        triples=found.get("triples", 0),
        seed=seed,
        wall_s=ended.wall_s,
        told=ended.last_line,
    )


def run_rival(base: Path, head: Path, parameters: Parameters) -> RivalSaid:
    """What pytest-benchmark says, by what it has saved in one clone and compares in the other.

    Raises:
        RuntimeError: if it has not measured all variants in both.
    """
    with tempfile.TemporaryDirectory(prefix="se-bench-proof-") as name:
        folder = Path(name)
        forwards = _forwards(parameters)
        first = session(base, folder, forwards, ("--benchmark-save=base",))
        judging = (
            "--benchmark-save=head", "--benchmark-compare=0001",
            f"--benchmark-compare-fail={RIVAL_LIMIT}",
        )  # fmt: skip
        second = session(head, folder, forwards, judging)
        before, after = medians_s(folder, "base"), medians_s(folder, "head")
    if first.code or not before or before.keys() != after.keys():
        raise RuntimeError(f"pytest-benchmark failed:\n{first.output}\n{second.output}")
    return RivalSaid(
        code=second.code,
        changes_pct={name: 100 * (after[name] / before[name] - 1) for name in before},
        wall_s=first.wall_s + second.wall_s,
        told=second.last_line,
    )


def _forwards(parameters: Parameters) -> Forwards:
    grid = Grid(
        placements=PLACEMENTS, reductions=(16,), paths=(RunPath(),), sizes=(parameters.size,),
        threads=(parameters.threads,),
    )  # fmt: skip
    # Threads wait as in the gate's processes, or it would be at a disadvantage under load.
    return Forwards(of_trials(grid.trials()), parameters.rival_s, "passive")
