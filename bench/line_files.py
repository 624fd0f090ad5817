"""Files of lines: appended by one process at a time, and packed once they are done.

A packed one takes a quarter of the room and has ``.gz`` after its name. It is found
and read by its plain name all the same, and is plain again as soon as somebody
goes on with it.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import zlib
from io import FileIO
from pathlib import Path

from bench.files import replacing

SUFFIX = ".gz"


class BusyError(RuntimeError):
    """Another run is writing to the file."""


class PackedError(ValueError):
    """A packed file that does not unpack."""


def packed(path: Path) -> Path:
    """What a plain file is called once it is packed."""
    return path.with_name(path.name + SUFFIX)


def plain(path: Path) -> Path:
    """What a file is called that is not packed."""
    return path.with_suffix("") if path.suffix == SUFFIX else path


def found(path: Path) -> Path | None:
    """Where a file lies, by the name it was given, or packed; None if it is not there."""
    return next((place for place in (path, packed(path)) if place.is_file()), None)


def content(path: Path) -> bytes:
    """The bytes of a file, packed or not.

    Raises:
        FileNotFoundError: if there is none.
        PackedError: if it is damaged.
    """
    if path.suffix == SUFFIX:
        return _unpacked(path)
    if not packed(path).is_file():
        return path.read_bytes()
    whole = _unpacked(packed(path))
    if not path.is_file():
        return whole
    # Both are there where a kill came while one was made of the other, and that one may be torn.
    raw = path.read_bytes()
    return whole if whole.startswith(raw) else raw


def opened_for_lines(path: Path) -> FileIO:
    """A file to append lines to, by one run at a time, until it is closed.

    What was packed is unpacked. What a kill has left without a newline is cut off,
    lest the next line be glued to it.

    Raises:
        BusyError: if another run has it open.
        PackedError: if it was packed, and is damaged.
    """
    file = _locked(path)
    try:
        if packed(path).exists():
            rest = memoryview(content(path))
            file.truncate(0)
            while rest:
                rest = rest[file.write(rest) :]
            packed(path).unlink()
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
    except BaseException:
        if packed(path).exists() and not path.stat().st_size:
            path.unlink()  # it is not there unpacked
        file.close()
        raise
    return file


def pack(path: Path) -> Path:
    """Pack a plain file, if it is there; where it lies then. Equal bytes are packed to equal ones.

    Raises:
        BusyError: if somebody is writing to it.
    """
    place = packed(path)
    if path.exists():
        with opened_for_lines(path):
            with replacing(place) as draft:
                draft.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()
    return place


def set_aside(path: Path) -> Path | None:
    """Keep a file, packed or not, damaged or not, under the next name that is free; that name.

    None if there is none.

    Raises:
        BusyError: if somebody is writing to it.
    """
    if found(path) is None:
        return None
    kept = _next_free(path)
    if path.exists():
        with _locked(path):
            path.rename(kept)
    if packed(path).exists():
        packed(path).rename(packed(kept))
    return found(kept)


def _next_free(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, 10_000))
    free = next((name for name in names if found(name) is None), None)
    if free is None:
        raise FileExistsError(f"too many files beside {path}")
    return free


def _locked(path: Path) -> FileIO:
    """Opened to append to; the lock is the kernel's, which opens it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BusyError(f"another run is writing to {path}") from error
    if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
        return file
    file.close()  # whoever had it has packed it or put it aside meanwhile
    return _locked(path)


def _unpacked(place: Path) -> bytes:
    raw = place.read_bytes()
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise PackedError(f"{place} does not unpack: {error}") from error
