"""A file is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.files import replacing


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Until the block ends the old one stands, and no draft is left behind."""
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as draft:
        assert draft.suffix == path.suffix
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    """What was half written is thrown away."""
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("ne")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
