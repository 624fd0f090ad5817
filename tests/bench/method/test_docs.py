"""docs/coverage.md follows from the committed simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.documents.command import main
from bench.documents.sources import COVERAGE
from tests.bench.conftest import Alone

DOCUMENT = Path("docs/coverage.md")


@pytest.mark.parametrize("changed", ["document", "table", "none", "missing"])
def test_a_number_that_does_not_follow_from_the_simulation_is_found(
    changed: str, copy: Path, alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """Be it changed in the document or in the table, or be there no table."""
    alone(DOCUMENT)
    document, table = copy / DOCUMENT, copy / COVERAGE
    if changed == "document":
        document.write_text(document.read_text().replace("| 2000 |", "| 2001 |"))
    elif changed == "table":
        table.write_text(table.read_text().replace("Student,2000,", "Student,2001,"))
    elif changed == "missing":
        table.unlink()
    assert main(["--check"], root=copy) == (changed != "none")
    told = f"{DOCUMENT} does not follow from {COVERAGE}" in capsys.readouterr().err
    assert told == (changed != "none")
