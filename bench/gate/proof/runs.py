"""One run of the gate, and one of what many projects do instead: as their commands are called."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.gate.ci import SUMMARY
from bench.gate.command import REPORT, of_trials
from bench.gate.proof.lines import GateSaid, Parameters, RivalSaid
from bench.grid import Grid
from bench.trial import Path as RunPath
from bench.waiting import environment
from se_models.config import Placement

PLACEMENTS: tuple[Placement, ...] = ("standard", "inner")
RIVAL = "bench/measure/forwards_benchmark.py"
# By how much a median may be larger; as many projects have it.
RIVAL_LIMIT = "median:5%"
# For a command to stop what it has started.
_STOP_S = 30.0


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    output: str
    wall_s: float

    @property
    def last_line(self) -> str:
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else ""


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
        ended = run(command, head, _without(os.environ, SUMMARY))
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
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
        first = _benchmark(base, folder, parameters, ("--benchmark-save=base",))
        judging = (
            "--benchmark-save=head", "--benchmark-compare=0001",
            f"--benchmark-compare-fail={RIVAL_LIMIT}",
        )  # fmt: skip
        second = _benchmark(head, folder, parameters, judging)
        before, after = _medians_s(folder, "base"), _medians_s(folder, "head")
    if first.code or not before or before.keys() != after.keys():
        raise RuntimeError(f"pytest-benchmark failed:\n{first.output}\n{second.output}")
    return RivalSaid(
        code=second.code,
        changes_pct={name: 100 * (after[name] / before[name] - 1) for name in before},
        wall_s=first.wall_s + second.wall_s,
        told=second.last_line,
    )


def _benchmark(tree: Path, folder: Path, parameters: Parameters, flags: Sequence[str]) -> Ended:
    command = (
        "-m", "pytest", "-q", RIVAL, "-c", str(folder / "pytest.ini"), "--rootdir", ".",
        "--import-mode=importlib", "-p", "no:cacheprovider", "--benchmark-only",
        f"--benchmark-storage={(folder / 'saved').as_uri()}",
        f"--benchmark-max-time={parameters.rival_s}", *flags,
    )  # fmt: skip
    grid = Grid(
        placements=PLACEMENTS, reductions=(16,), paths=(RunPath(),), sizes=(parameters.size,),
        threads=(parameters.threads,),
    )  # fmt: skip
    trials = msgspec.json.encode(of_trials(grid.trials())).decode()
    # As the gate's processes have it, or it would be at a disadvantage under load.
    return run(command, tree, environment("passive") | {"SE_BENCH_TRIALS": trials})


def _medians_s(folder: Path, name: str) -> dict[str, float]:
    """Of what was saved under a name, by variant; nothing if nothing was."""
    for path in folder.glob(f"saved/*/*_{name}.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            each["name"].partition("[")[2].removesuffix("]"): each["stats"]["median"]
            for each in found["benchmarks"]
        }
    return {}


def run(arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Ended:
    """Run this Python in a folder, whose packages come first; asked to stop if this is stopped."""
    started_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=_without(variables, "PYTHONPATH"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)  # it ends processes of its own
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return Ended(process.returncode, output, time.monotonic() - started_s)


def _without(variables: Mapping[str, str], name: str) -> dict[str, str]:
    return {each: value for each, value in variables.items() if each != name}
