"""A run as pytest-benchmark's JSON, for its ``compare`` and for services that read it.

What its reader asks for (``pytest_benchmark/storage/file.py``, version 5): a list
``benchmarks``, each with ``stats`` that it merges into the entry, so that no
key of an entry may be named like a statistic; entries of several files are held
against each other by ``fullname``. github-action-benchmark's ``pytest`` tool
(``src/extract.ts``) reads ``fullname`` and ``stats.ops``, ``stddev``, ``mean`` and
``rounds`` as strict JSON.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.ledger import Ledger
from bench.record import Environment, Header
from bench.trial import Trial

# What leads every ``fullname``, where pytest-benchmark has the path of a test.
PREFIX = "se-bench::"
# Of the table's row, what pytest-benchmark has no place for.
_EXTRA = (
    "overhead_pct", "overhead_low_pct", "overhead_high_pct", "disturbed", "verdict",
    "detectable_pct", "noise_pct", "noise_low_pct", "noise_high_pct", "latency_s", "processes",
    "params", "macs", "operators", "live_peak_bytes", "resident_growth_bytes",
)  # fmt: skip
_PARAMS = (
    "architecture", "se", "path", "device", "dtype", "layout", "batch", "size", "threads",
)  # fmt: skip


def document(header: Header, ledger: Ledger, frame: pd.DataFrame) -> dict[str, Any]:
    """All trials that have times, each by the raw times of its own rounds.

    Own times are taken at different moments: ``extra_info`` has the paired
    overhead with its interval, which compares variants better.

    Args:
        header: of the records.
        ledger: of the same records.
        frame: the table that they make.

    Raises:
        ValueError: if nothing was measured.
        ImportError: if pytest-benchmark is not installed.
    """
    from pytest_benchmark import __version__

    rows = {row["trial"]: row for _, row in frame.iterrows()}
    entries = [
        _entry(ledger, trial, rows[trial.key])
        for trial in {trial.key: trial for trial in ledger.planned}.values()
        if pd.notna(rows[trial.key]["latency_s"])
    ]
    if not entries:
        raise ValueError("there is nothing to export: no trial of the run was timed")
    environment = ledger.environments[0]
    return {
        "machine_info": _machine(environment),
        "commit_info": {
            "id": environment.source.commit or "unversioned", "time": None, "author_time": None,
            "dirty": environment.source.dirty_diff is not None, "project": "se-bench",
            "branch": "(unknown)",
        },
        "benchmarks": entries,
        "datetime": header.created_at,
        "version": __version__,
    }  # fmt: skip


def _entry(ledger: Ledger, trial: Trial, row: pd.Series) -> dict[str, Any]:
    from pytest_benchmark.stats import Stats

    arm, visits = ledger.own_visits(trial)
    stats = Stats()
    for time_s in np.concatenate([visit.samples_s(arm) for visit in visits]):
        stats.update(float(time_s))
    told = {**stats.as_dict(), "data": stats.data}
    return {
        "group": str(row["setting"]),
        "name": trial.variant.key + ("" if trial.path.is_plain else f"@{trial.path.label}"),
        "fullname": PREFIX + trial.key,
        "params": {name: str(row[name]) for name in _PARAMS},
        "param": str(row["se"]),
        "extra_info": {name: _plain(row[name]) for name in _EXTRA if pd.notna(row[name])},
        "options": {"timer": "perf_counter" if trial.workload.device == "cpu" else "cuda_events"},
        "stats": {**told, "iterations": visits[0].block.forwards_per_sample},
    }


def _plain(value: Any) -> str | float | int:
    """A scalar that JSON has."""
    return value.item() if isinstance(value, np.generic) else value


def _machine(environment: Environment) -> dict[str, Any]:
    machine, runtime = environment.machine, environment.runtime
    system, *release = machine.system.split()
    return {
        "node": "", "processor": machine.cpu, "system": system, "release": " ".join(release),
        "python_implementation": "CPython", "python_version": machine.python,
        "cpu": {"brand_raw": machine.cpu, "count": machine.cpus}, "gpu": runtime.gpu or "",
        "cpu_capability": runtime.cpu_capability, "packages": machine.packages,
    }  # fmt: skip
