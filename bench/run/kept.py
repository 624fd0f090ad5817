"""The folder of what workers export and compile, so that only the first of a run has to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "prepared"


@contextmanager
def kept_for_workers(out: Path, *, goes_on: bool) -> Iterator[Path]:
    """A folder in ``out``, removed at the end, for it may hold gigabytes.

    Args:
        out: the run's folder, which no other run writes to meanwhile.
        goes_on: whether the run continues another: then what a killed one has
            left there holds, since machine and source are the same.
    """
    folder = out / FOLDER
    if not goes_on:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
