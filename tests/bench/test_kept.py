"""The folder in which the workers of a run keep things for each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.run.kept import kept_for_workers
from tests.bench.conftest import RunFake


def leftover(out: Path) -> Path:
    """What a killed run left there."""
    with kept_for_workers(out / "other", goes_on=False) as elsewhere:
        folder = out / elsewhere.name
    folder.mkdir()
    file = folder / "x.onnx"
    file.touch()
    return file


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_a_killed_run_left_serves_those_that_continue_it(
    goes_on: bool, tmp_path: Path
) -> None:
    """Another machine or source would find what it has not made."""
    file = leftover(tmp_path)
    with kept_for_workers(tmp_path, goes_on=goes_on) as folder:
        assert folder == file.parent
        assert folder.is_dir()
        assert file.exists() == goes_on
    assert not folder.exists()


def test_it_is_removed_however_the_run_ends(tmp_path: Path) -> None:
    """It may hold gigabytes."""

    def interrupted() -> None:
        with kept_for_workers(tmp_path, goes_on=False) as folder:
            (folder / "x.onnx").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_workers_have_it_while_they_run(run_fake: RunFake, out: Path) -> None:
    """And none is left behind them."""
    assert run_fake() == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "records.jsonl", "table.csv", "table.md", "table.parquet",
    ]  # fmt: skip
