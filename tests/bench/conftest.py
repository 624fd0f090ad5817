"""A run with made-up workers in a folder of its own, and documents and results to spoil."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from rich.console import Console

from bench.documents.sources import (
    COVERAGE,
    DOCUMENTS,
    EXPORTED,
    GATE,
    KERNELS,
    PREDICTED,
    PUBLISHED,
    ROOT,
    RUNS,
)
from bench.grid import Grid
from bench.ledger import Ledger
from bench.record import Outcome, Quantity, Record, read, select
from bench.run.command import Request, run

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")

RunFake = Callable[..., int]
Alone = Callable[..., None]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run_fake(out: Path, monkeypatch: pytest.MonkeyPatch) -> RunFake:
    """Run a small grid with fake workers that misbehave as told; the exit code.

    Drawing has tests of its own and is left out.
    """
    monkeypatch.setattr("bench.run.command.draw", lambda frame, folder: [])
    monkeypatch.setattr("bench.run.stocktaking.usable_cpus", lambda: 1)
    monkeypatch.setattr("bench.run.schedule.LONGEST_VISIT_S", 0.1)

    def call(
        *misbehaviour: str,
        grid: Grid | None = None,
        fresh: bool = False,
        budget_s: float = 60.0,
        timeout_s: float = 5.0,
        quantities: tuple[Quantity, ...] = get_args(Quantity),
    ) -> int:
        request = Request(
            grid=grid or Grid(placements=("standard", "pre"), reductions=(4, 16)),
            out=out,
            fresh=fresh,
            budget_s=budget_s,
            precision=0.01,
            quantities=quantities,
            timeout_s=timeout_s,
            worker=(sys.executable, str(FAKE_WORKER), *misbehaviour),
        )
        return run(request, Console(width=120))

    return call


def records_in(out: Path) -> list[Record]:
    return read(out / "records.jsonl")


def ledger_in(out: Path) -> Ledger:
    return Ledger(records_in(out))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documents and the results they are made from, to change at will.

    Whether the proof follows from its recordings takes long to compute, and has tests of its own.
    """
    monkeypatch.setattr("bench.documents.command.stale_proof", lambda table: [])
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    experiments = (COVERAGE, KERNELS, EXPORTED, PREDICTED, PUBLISHED, GATE)
    for results in (*RUNS, *(table.parent for table in experiments)):
        if (ROOT / results).exists():
            shutil.copytree(ROOT / results, tmp_path / results)
    return tmp_path


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Alone:
    """Have the documents' command look at some documents and runs alone; all take long."""

    def call(*documents: Path, runs: tuple[Path, ...] = ()) -> None:
        monkeypatch.setattr(
            "bench.documents.command.DOCUMENTS", {name: DOCUMENTS[name] for name in documents}
        )
        monkeypatch.setattr("bench.documents.sources.RUNS", runs)

    return call


def table_in(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "table.parquet").set_index("se")


def cell(table: pd.DataFrame, se: str, column: str) -> float:
    """A number of the table; NaN where it is null."""
    numbers = table[column].astype("Float64").to_numpy(dtype=float, na_value=math.nan)
    return float(numbers[list(table.index).index(se)])


def outcomes_in(out: Path) -> dict[tuple[str, str], Outcome]:
    return {
        (outcome.trial.variant.se.label, outcome.quantity): outcome
        for outcome in select(records_in(out), Outcome)
    }
