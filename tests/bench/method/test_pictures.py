"""A picture that does not show its table is found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.method.pictures import is_stale, note

TABLE = pd.DataFrame({"name": ["a", None], "value": [1 / 3, float("nan")], "n": [2, 3]})


def drawn(folder: Path, stem: str) -> None:
    for suffix in (".png", ".svg"):
        (folder / f"{stem}{suffix}").touch()


def test_a_picture_shows_the_table_it_was_drawn_from(tmp_path: Path) -> None:
    """Also as the table is read from its file; other pictures keep their digests."""
    for stem in ("one", "two"):
        drawn(tmp_path, stem)
        note(tmp_path, stem, TABLE, f"title of {stem}")
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv")
    assert not is_stale(tmp_path, "one", read, "title of one")
    assert not is_stale(tmp_path, "two", TABLE, "title of two")


def test_a_picture_falls_behind(tmp_path: Path) -> None:
    """When a number or the title changes, or a file of it is gone, or it was never drawn."""
    assert is_stale(tmp_path, "one", TABLE, "title")
    drawn(tmp_path, "one")
    note(tmp_path, "one", TABLE, "title")
    assert not is_stale(tmp_path, "one", TABLE, "title")
    assert is_stale(tmp_path, "one", TABLE.assign(n=[2, 4]), "title")
    assert is_stale(tmp_path, "one", TABLE, "another")
    (tmp_path / "one.svg").unlink()
    assert is_stale(tmp_path, "one", TABLE, "title")
