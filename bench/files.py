"""Files that a kill leaves fit for use: whole or not there, or without half a line at their end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path


class BusyError(RuntimeError):
    """Another run is writing to the file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` once the block has ended well."""
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def opened_for_lines(path: Path) -> FileIO:
    """A file to append lines to, by one run at a time, until it is closed.

    What a kill has left without a newline is cut off, lest the next line be glued to
    it. The lock is the kernel's, which lets go of it when the process dies.

    Raises:
        BusyError: if another run has it open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BusyError(f"another run is writing to {path}") from error
    whole = path.read_bytes().rfind(b"\n") + 1
    if whole < path.stat().st_size:
        os.truncate(path, whole)
    return file
