"""A packed file is found and read by its plain name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bench.line_files import (
    BusyError,
    PackedError,
    content,
    found,
    opened_for_lines,
    pack,
    packed,
    plain,
    set_aside,
)

LINES = b'{"kind":"header"}\n' * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "records.1.jsonl"
    file.write_bytes(LINES)
    return file


def test_a_file_comes_back_as_it_was(path: Path) -> None:
    """There is one file at a time, and either is read by the plain name or its own."""
    assert found(path) == path
    assert pack(path) == packed(path) == found(path)
    assert list(path.parent.iterdir()) == [packed(path)]
    assert plain(packed(path)) == plain(path) == path
    assert content(path) == content(packed(path)) == LINES
    opened_for_lines(path).close()
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == LINES


def test_equal_bytes_are_packed_to_equal_bytes(path: Path) -> None:
    """Whenever it is done, so that packing anew changes nothing in git."""
    first = pack(path).read_bytes()
    opened_for_lines(path).close()
    path.touch()
    assert pack(path).read_bytes() == first
    assert len(first) < len(LINES) / 4


def test_what_is_packed_or_unpacked_already_is_left_alone(path: Path) -> None:
    """Doing either twice is doing it once."""
    opened_for_lines(path).close()
    assert content(path) == LINES
    pack(path)
    pack(path)
    assert content(path) == LINES


@pytest.mark.parametrize("left", [b"", LINES[:70], LINES])
def test_after_a_kill_between_nothing_is_lost(path: Path, left: bytes) -> None:
    """Whichever of the two was being made of the other."""
    pack(path)
    path.write_bytes(left)
    assert content(path) == LINES
    opened_for_lines(path).close()
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == LINES


def test_another_plain_file_beside_a_packed_one_holds(path: Path) -> None:
    """As when a run's file was copied there."""
    pack(path)
    path.write_bytes(b"other\n")
    assert content(path) == b"other\n"
    pack(path)
    assert list(path.parent.iterdir()) == [packed(path)]
    assert content(path) == b"other\n"


def test_what_is_being_written_is_neither_packed_nor_put_aside(path: Path) -> None:
    """Lest its later lines be lost."""
    with opened_for_lines(path) as file:
        for refused in (pack, set_aside, opened_for_lines):
            with pytest.raises(BusyError, match=r"another run is writing to .*records\.1\.jsonl"):
                refused(path)
        file.write(b"more\n")
    assert content(path) == LINES + b"more\n"


@pytest.mark.parametrize("is_packed", [False, True])
def test_files_are_put_aside_as_they_are(path: Path, is_packed: bool) -> None:
    """Each under the next name that is free, damaged ones too; then there is none."""
    if is_packed:
        pack(path).write_bytes(b"no gzip")
    kept = path.with_name("records.1.1.jsonl")
    assert set_aside(path) == (packed(kept) if is_packed else kept)
    assert found(path) is None
    assert set_aside(path) is None
    path.write_bytes(b"new\n")
    assert set_aside(path) == path.with_name("records.1.2.jsonl")


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """The error names the plain file."""
    assert found(tmp_path / "x.jsonl") is None
    with pytest.raises(FileNotFoundError, match=r"x\.jsonl'"):
        content(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    "damaged", [b"no gzip", gzip.compress(LINES)[:-9]], ids=["no gzip", "cut off"]
)
def test_what_does_not_unpack_is_an_error(tmp_path: Path, damaged: bytes) -> None:
    """And nothing is made of it."""
    path = tmp_path / "x.jsonl"
    packed(path).write_bytes(damaged)
    with pytest.raises(PackedError, match=r"x\.jsonl\.gz does not unpack: "):
        opened_for_lines(path).close()
    assert list(tmp_path.iterdir()) == [packed(path)]
