"""What each marked part of a document says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bench import summary
from bench.documents import first_use, gate, gpu, kernels, onnx_files, paths
from bench.documents.headline import headline
from bench.documents.sources import (
    CONTENTION,
    COVERAGE,
    CPU,
    CUBINS,
    EMULATED,
    EXPORTED,
    FIRST_USE,
    GATE_RUNS,
    KERNELS,
    PATHS,
    PATHS_AVX2,
    PLUGIN,
    PLUGIN_SHOWN,
    PREDICTED,
    PROOF,
    PUBLISHED,
    Run,
)
from bench.ledger import Ledger
from bench.method import contention, plugin, proof_report
from bench.method import report as coverage_report
from bench.trial import Path as RunPath

EAGER = RunPath().label


def parts(runs: Mapping[Path, Run], root: Path) -> dict[str, Callable[[], str]]:
    """The text of every part by its name; a checkout may lack results, and then it says so.

    Args:
        runs: those of `bench.documents.sources.runs`.
        root: of the checkout, below which experiments have left their tables.
    """

    def cpu() -> pd.DataFrame:
        return runs[CPU].frame

    def eager() -> pd.DataFrame:
        return cpu()[cpu()["path"] == EAGER]

    def all_paths(folder: Path) -> str:
        if folder not in runs:
            return nothing_yet(f"paths -- --out {folder}")
        run, table = runs[folder], root / KERNELS
        rates = pd.read_csv(table) if table.exists() else None
        return paths.markdown(run.frame, rates, run.ledger)

    def of_gate(told: Callable[[Path], str]) -> str:
        runs_of_gate = root / GATE_RUNS
        return told(runs_of_gate) if runs_of_gate.exists() else nothing_yet("gate_proof")

    def predicted(frame: pd.DataFrame) -> str:
        return gpu.predicted(frame, pd.read_csv(root / PUBLISHED))

    return {
        "headline": lambda: headline(cpu()),
        "table": lambda: summary.markdown(eager()),
        "noise": lambda: f"{summary.noise_line(eager())}\n",
        "environment": lambda: environment(runs[CPU].ledger),
        "run": lambda: f"```\n{summary.report(runs[CPU].ledger)}\n```\n",
        "coverage": lambda: experiment(root / COVERAGE, coverage_report.markdown, "coverage"),
        "contention": lambda: experiment(root / CONTENTION, contention.markdown, "contention"),
        "proof": lambda: experiment(root / PROOF, proof_report.markdown, "method"),
        "proof-summary": lambda: experiment(root / PROOF, proof_report.summary, "method"),
        "plugin": lambda: experiment(root / PLUGIN, plugin.markdown, "plugin_proof"),
        "plugin-shown": lambda: shown(root / PLUGIN_SHOWN, "plugin_proof"),
        "gate": lambda: of_gate(gate.markdown),
        "gate-summary": lambda: of_gate(gate.summary),
        "paths": lambda: all_paths(PATHS),
        "paths-avx2": lambda: all_paths(PATHS_AVX2),
        "paths-summary": lambda: paths.summary(runs[PATHS if PATHS in runs else CPU].frame),
        "cubins": lambda: experiment(root / CUBINS, gpu.cubins, "cubins"),
        "emulated": lambda: experiment(root / EMULATED, gpu.emulated, "emulated"),
        "exports": lambda: experiment(root / EXPORTED, onnx_files.markdown, "exports"),
        "predicted": lambda: experiment(root / PREDICTED, predicted, "predict"),
        "first-use": lambda: experiment(root / FIRST_USE, first_use.markdown, "first_use"),
        "kernels": lambda: experiment(root / KERNELS, kernels.markdown, "bandwidth"),
    }


def experiment(table: Path, markdown: Callable[[pd.DataFrame], str], session: str) -> str:
    """What an experiment found that leaves a table."""
    if not table.exists():
        return nothing_yet(session)
    return markdown(pd.read_csv(table, dtype={"commit": str}))  # which may be digits alone


def shown(text: Path, session: str) -> str:
    """What a terminal showed, if that was kept."""
    if not text.exists():
        return nothing_yet(session)
    return f"```\n{text.read_text(encoding='utf-8')}```\n"


def nothing_yet(session: str) -> str:
    """What a part says of results that are still to be made."""
    return f"Nothing is committed yet: make it with `nox -s {session}`.\n"


def environment(ledger: Ledger) -> str:
    """Machine, versions and OpenMP's settings, of a run's first worker."""
    first = ledger.environments[0]
    machine, runtime = first.machine, first.runtime
    openmp = ", ".join(f"{key}={value}" for key, value in machine.openmp.items())
    return (
        f"{machine.cpu}, {machine.available_cpus} CPUs ({runtime.cpu_capability}), "
        f"{machine.memory_bytes / 2**30:.0f} GiB; torch {runtime.torch}, "
        f"Python {machine.python}; OpenMP settings: {openmp or 'none, so threads wait actively'}.\n"
    )
