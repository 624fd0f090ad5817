"""The real command counts real models, and its exit code is the verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from bench.cli import main
from bench.exact import GRID, QUANTITIES, Exact
from bench.gate import counting, exact_command
from bench.gate.baseline import COUNTS, FOLDER, Baseline
from bench.gate.ci import SUMMARY
from bench.grid import Grid
from bench.record import Counts
from bench.trial import Path as RunPath
from tests.bench.gate import tables

ROOT = Path(__file__).parents[3]
SMALL = Grid(placements=("standard",), reductions=(16,), paths=(RunPath(), RunPath("fused")))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_command, "GRID", SMALL)


@pytest.mark.usefixtures("small")
def test_what_is_updated_passes_and_what_differs_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By processes that count real models; a step's summary gets the report too."""
    folder = str(tmp_path / "baseline")
    counted = counting.count_all(SMALL.trials(), lambda: None)
    monkeypatch.setattr(exact_command, "count_all", lambda trials, tell: counted)
    assert main(["exact", "--baseline", folder, "--update"]) == 0
    assert "4 variants in" in capsys.readouterr().out
    assert main(["exact", "--baseline", folder]) == 0
    assert "10 quantities of 4 variants are those of the baseline." in capsys.readouterr().out

    table = pd.read_csv(tmp_path / "baseline" / COUNTS)
    table["operators"] += table.index == 1
    table.drop(index=3).to_csv(tmp_path / "baseline" / COUNTS, index=False)
    monkeypatch.setenv(SUMMARY, str(tmp_path / "summary.md"))
    assert main(["exact", "--baseline", folder]) == 1
    told = capsys.readouterr().out
    assert "resnet18/standard-r16 " in told
    assert "operators" in told
    assert "resnet18/standard-r16@fused" in told
    assert f"python -m bench exact --update --baseline {folder}" in told
    assert (tmp_path / "summary.md").read_text() == f"{told}\n"


def test_without_a_baseline_nothing_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is wrong usage, not a difference."""
    monkeypatch.setattr(exact_command, "count_all", None)
    assert main(["exact", "--baseline", str(tmp_path)]) == 2
    assert "make it with --update" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("differs", [False, True])
def test_a_summary_that_cannot_be_written_is_no_verdict(
    differs: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exit code is what was found, and a line warns."""
    before = tables.baseline()
    before.write(tmp_path)
    now = tables.changed(before, 0, "operators", 7) if differs else before
    monkeypatch.setattr(exact_command, "count_all", lambda trials, tell: now)
    monkeypatch.setenv(SUMMARY, str(tmp_path))
    assert main(["exact", "--baseline", str(tmp_path)]) == int(differs)
    assert "warning: the report could not be written: " in capsys.readouterr().err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("flags", [(), ("--update",)])
@pytest.mark.parametrize(
    "error", [RuntimeError("counting failed"), ImportError("no torch"), OSError(28, "disk full")]
)
def test_what_cannot_be_counted_is_no_difference(
    error: Exception,
    flags: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends with another code, and a line says why."""

    def fail(*_: object) -> None:
        raise error

    tables.baseline().write(tmp_path)
    monkeypatch.setattr(exact_command, "count_all", fail)
    assert main(["exact", "--baseline", str(tmp_path), *flags]) == 2
    assert capsys.readouterr().err.endswith(f"exact: {error}\n")


@pytest.mark.parametrize(
    ("process", "reason"),
    [
        ("import sys; sys.stdin.read(); sys.exit('no such operator')", "no such operator"),
        ("import sys; sys.stdin.read()", "it ended with code 0"),
        ("pass", "it ended with code 0"),
    ],
    ids=["fails", "says nothing", "reads nothing"],
)
def test_a_process_that_fails_is_an_error(process: str, reason: str) -> None:
    """It names the trial that it was at."""
    with pytest.raises(RuntimeError, match=f"counting resnet18/none@.* failed: {reason}"):
        counting.count_all(SMALL.trials(), lambda: None, (sys.executable, "-c", process))


def test_half_a_line_is_an_error() -> None:
    """As of a process that was killed while it wrote."""
    process = "import sys; sys.stdin.read(); print('{')"
    with pytest.raises(RuntimeError, match=r"a counting process said b'\{"):
        counting.count_all(SMALL.trials(), lambda: None, (sys.executable, "-c", process))


def test_a_process_that_fails_when_it_is_done_is_an_error_too() -> None:
    """As one that is killed at its exit."""
    (trial,) = SMALL.trials()[:1]
    exact_ = Exact(Counts(trial, *[1] * len(QUANTITIES)), 1, 0, 1)
    told = msgspec.json.encode(tables.VERSIONS) + b"\n" + msgspec.json.encode(exact_) + b"\n"
    process = f"import sys; sys.stdin.read(); sys.stdout.buffer.write({told!r}); sys.exit('late')"
    with pytest.raises(RuntimeError, match="a process that had counted all failed: late"):
        counting.count_all([trial], lambda: None, (sys.executable, "-c", process))


def test_the_committed_baseline_can_be_read() -> None:
    """It has the grid's variants, no more and no fewer; whether they hold is for the gate."""
    found = Baseline.read(ROOT / FOLDER).counts
    trials = GRID.trials()
    assert list(found.index) == [(trial.variant.key, trial.path.transform) for trial in trials]
