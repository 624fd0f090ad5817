"""docs/coverage.md follows from the committed simulation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.readme import COVERAGE, DOCUMENTS, RESULTS, ROOT, main

DOCUMENT = Path("docs/coverage.md")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documents and results, to change at will."""
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for results in (RESULTS, COVERAGE.parent):
        shutil.copytree(ROOT / results, tmp_path / results)
    return tmp_path


@pytest.mark.parametrize("changed", ["document", "table", "none", "missing"])
def test_a_number_that_does_not_follow_from_the_simulation_is_found(
    changed: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Be it changed in the document or in the table, or be there no table."""
    document, table = copy / DOCUMENT, copy / COVERAGE
    if changed == "document":
        document.write_text(document.read_text().replace("| 2000 |", "| 2001 |"))
    elif changed == "table":
        table.write_text(table.read_text().replace("Student,2000,", "Student,2001,"))
    elif changed == "missing":
        table.unlink()
    main(["--check"], root=copy)
    told = f"{DOCUMENT} does not follow from {COVERAGE}" in capsys.readouterr().err
    assert told == (changed != "none")
