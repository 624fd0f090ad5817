"""README and docs say what the committed results say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.readme import DOCUMENTS, RESULTS, ROOT, fill, main


def test_the_committed_documents_follow_from_the_committed_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither a number in the README nor a plot is older than its records."""
    assert main(["--check"]) == 0, capsys.readouterr().err


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documents and results, to change at will."""
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / RESULTS, tmp_path / RESULTS)
    return tmp_path


def test_a_number_changed_by_hand_is_found(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check names the document and the command that mends it."""
    readme = copy / "README.md"
    readme.write_text(readme.read_text().replace("11.69", "11.70"))
    assert main(["--check"], root=copy) == 1
    assert "README.md does not follow from" in capsys.readouterr().err


def test_a_changed_record_makes_tables_and_plots_stale(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plot is compared by the data in it."""
    records = copy / RESULTS / "records.jsonl"
    records.write_text(records.read_text().replace('"params":11778592', '"params":12778592'))
    assert main(["--check"], root=copy) == 1
    error = capsys.readouterr().err
    assert "table.md does not follow from the records" in error
    assert "plots/pareto does not show the records' data" in error


def test_parts_are_filled_and_unknown_parts_refused() -> None:
    """Only what stands between the marks changes."""
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    assert fill(text, {"x": lambda: "new\n"}) == text.replace("old", "new")
    with pytest.raises(ValueError, match="part must be one of y, got 'x'"):
        fill(text, {"y": str})
