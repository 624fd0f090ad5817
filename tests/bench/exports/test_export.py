"""A run in the formats of other tools, read as these read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.stats import Stats

from bench.cli import main
from bench.exports.command import FORMATS
from bench.exports.pytest_benchmark import PREFIX
from bench.grid import Grid
from bench.record import SCHEMA_VERSION, Header, Planned, Record, encode
from tests.bench.compare.made_up import environment, records

GRID = Grid(placements=("standard",), reductions=(8, 16))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of three variants, one of which costs 9 %, and of one that was never measured."""
    made = records({"standard-r16": 0.09}, grid=GRID, environments=(environment(),))
    unmeasured = Planned(Grid(placements=("inner",), reductions=(16,)).trials()[-1])
    header = Header(SCHEMA_VERSION, "2026-01-02T00:00:00+00:00", "0")
    (tmp_path / "records.jsonl").write_bytes(b"".join(map(encode, [header, *made, unmeasured])))
    return tmp_path


def exported(run: Path, to: str) -> Any:
    assert main(["export", "--to", to, "--out", str(run)]) == 0
    text = (run / f"{to}.json").read_bytes().decode("ascii")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_every_timed_trial_is_a_benchmark(run: Path) -> None:
    """By its own raw times, under a name that only its key makes; its overhead rides along."""
    document = exported(run, "pytest-benchmark")
    entries = {entry["param"]: entry for entry in document["benchmarks"]}
    assert set(entries) == {"none", "standard-r8", "standard-r16"}
    assert len({entry["fullname"] for entry in entries.values()}) == 3
    slow = entries["standard-r16"]
    assert slow["fullname"].startswith(f"{PREFIX}resnet18/standard-r16@cpu-float32")
    assert slow["stats"]["rounds"] == len(slow["stats"]["data"]) == 6 * 9
    assert slow["stats"]["median"] == pytest.approx(1.09, abs=0.01)
    assert slow["stats"]["median"] == np.median(slow["stats"]["data"])
    assert slow["extra_info"]["overhead_pct"] == pytest.approx(9, abs=0.5)
    assert slow["extra_info"]["verdict"] == "slower"
    assert slow["extra_info"]["disturbed"] is False
    assert "overhead_pct" not in entries["none"]["extra_info"]
    assert document["commit_info"] | {"id": "c0ffee", "dirty": False} == document["commit_info"]
    assert document["datetime"] == "2026-01-02T00:00:00+00:00"


def test_no_key_of_an_entry_is_named_like_a_statistic(run: Path) -> None:
    """pytest-benchmark's reader merges the two; nor is any parameter anything but text."""
    for entry in exported(run, "pytest-benchmark")["benchmarks"]:
        assert not set(entry) & {*Stats.fields, "data", "iterations"}
        assert all(isinstance(value, str) for value in entry["params"].values())


def test_pytest_benchmark_compares_exports(run: Path) -> None:
    """Its own command reads two, matches them by name and finds what is slower."""
    exported(run, "pytest-benchmark")
    first, second = run / "0001_before.json", run / "0002_after.json"
    (run / "pytest-benchmark.json").rename(first)
    document = json.loads(first.read_text())
    for entry in document["benchmarks"]:
        entry["stats"] = {
            name: 2 * value if name in ("min", "max", "mean", "median") else value
            for name, value in entry["stats"].items()
        }
    second.write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "--storage", f"file://{run}", "compare",
         "--group-by", "fullname", "--columns", "median,rounds", str(first), str(second)],
        capture_output=True, text=True, cwd=run, env={**os.environ, "COLUMNS": "200"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": 2 tests") == 3
    assert done.stdout.count("(2.00)") == 3


def test_entries_are_what_github_action_benchmark_reads(run: Path) -> None:
    """A name, a unit and a positive number each; range and extra are text."""
    entries = exported(run, "github-action-benchmark")
    by_name = {entry["name"]: entry for entry in entries}
    assert len(by_name) == len(entries)
    for entry in entries:
        assert (
            {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        )
        assert type(entry["value"]) is float
        assert entry["value"] > 0
        assert all(isinstance(entry.get(key, ""), str) for key in ("unit", "range", "extra"))
    units = {name.partition(": ")[2]: entry["unit"] for name, entry in by_name.items()}
    assert units == {
        "latency": "ms", "time over the trunk": "times", "live-byte peak": "MiB",
        "multiply-adds": "GMACs",
    }  # fmt: skip
    slow = next(entry for name, entry in by_name.items()
                if "standard-r16@" in name and name.endswith("over the trunk"))  # fmt: skip
    assert slow["value"] == pytest.approx(1.09, abs=0.005)
    low, high = map(float, slow["range"].split(" to "))
    assert low < slow["value"] < high
    assert "range" not in by_name[next(name for name in by_name if "/none@" in name)]


@pytest.mark.parametrize("to", FORMATS)
def test_what_was_not_measured_cannot_be_exported(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor what is not there; nothing is written."""
    assert main(["export", "--to", to, "--out", str(tmp_path / "none")]) == 2
    planned: list[Record] = list(map(Planned, GRID.trials()))
    made = [Header(SCHEMA_VERSION, "now", "0"), environment(), *planned]
    (tmp_path / "records.jsonl").write_bytes(b"".join(map(encode, made)))
    assert main(["export", "--to", to, "--out", str(tmp_path)]) == 2
    assert "there is nothing to export" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


def test_a_file_may_be_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its folder is made; the command says where it is."""
    file = run / "exports" / "bench.json"
    assert main(
        ["export", "--to", "github-action-benchmark", "--out", str(run), "--file", str(file)]
    ) == 0  # fmt: skip
    assert capsys.readouterr().out == f"{file}\n"
    assert json.loads(file.read_text())
