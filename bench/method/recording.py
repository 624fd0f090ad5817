"""The proof's recordings: one file of lines per load condition, appended as processes end.

The header says what was asked for, of which machine and source; only the same
goes on with a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import line_files
from bench.environment import Machine, Source
from bench.line_files import (
    SUFFIX,
    BusyError,
    PackedError,
    content,
    opened_for_lines,
    plain,
)
from bench.method.lines import SCHEMA_VERSION, Header, Line, Parameters, decode, encode
from bench.method.load import LOADS, Load


class RefusedError(ValueError):
    """A recording that cannot be read or gone on with; says why, and what helps."""


@dataclass(frozen=True)
class Recording:
    """The header and all lines after it."""

    header: Header
    lines: tuple[Line, ...]


def path_of(folder: Path, load: Load, size: int) -> Path:
    """Where the recording of a condition and an input size in pixels lies."""
    return folder / f"{load}-{size}px.jsonl"


def all_in(folder: Path) -> list[Recording]:
    """What a folder holds, by size, quiet before loaded.

    Raises:
        RefusedError: if any of them cannot be read.
    """
    recordings = map(read, paths_in(folder))
    return sorted(recordings, key=lambda each: each.header.parameters.size)


def paths_in(folder: Path) -> list[Path]:
    """The plain names of what a folder holds, packed or not; quiet before loaded."""
    names = [f"{load}-*px.jsonl{suffix}" for load in LOADS for suffix in ("", SUFFIX)]
    return list(dict.fromkeys(plain(path) for name in names for path in folder.glob(name)))


def read(path: Path) -> Recording:
    """A whole file, packed or not; a last line that a kill tore in half is left out.

    Raises:
        RefusedError: if the file is no recording, of another schema version, or damaged.
    """
    try:
        first, *others = content(path).split(b"\n")[:-1] or [b""]
        start = msgspec.json.decode(first, type=dict[str, msgspec.Raw])
        schema = msgspec.json.decode(start.get("schema", msgspec.Raw(b"null")))
        if schema != SCHEMA_VERSION:
            raise RefusedError(
                f"schema of {path} must be {SCHEMA_VERSION}, got {schema!r}: "
                "begin anew with --fresh"
            )
        header = decode(first)
        if not isinstance(header, Header):
            raise RefusedError(f"{path} has no header: begin anew with --fresh")
        return Recording(header, tuple(decode(line) for line in others))
    except (PackedError, msgspec.MsgspecError) as error:
        raise RefusedError(f"{path} is damaged ({error}): begin anew with --fresh") from error


def check_same(
    path: Path, header: Header, parameters: Parameters, machine: Machine, source: Source
) -> None:
    """Refuse to go on with what was recorded otherwise.

    Raises:
        RefusedError: if anything differs on which the lines depend.
    """
    changed = differences(header, parameters, machine, source)
    if changed:
        raise RefusedError(
            f"{path} cannot be gone on with, since {'; '.join(changed)}: ask for what was "
            "recorded, or begin anew with --fresh, which keeps it under another name"
        )


def differences(
    header: Header, parameters: Parameters, machine: Machine, source: Source
) -> list[str]:
    """A line for everything in which a recording differs from what is asked for now."""
    recorded = header.parameters
    changed = [
        f"{name} was {getattr(recorded, name)!r}, is {getattr(parameters, name)!r}"
        for name in Parameters.__struct_fields__
        if getattr(recorded, name) != getattr(parameters, name)
    ]
    changed += machine.differences(header.machine)
    if header.source.fingerprint != source.fingerprint:
        changed.append("the suite's source has changed")
    return changed


def set_aside(path: Path) -> Path | None:
    """Keep a recording under another name; None if there is none.

    Raises:
        RefusedError: if another run is writing to it.
    """
    with _refusing():
        return line_files.set_aside(path)


class Writer:
    """A recording open for appending; every line is on the disk before ``append`` returns."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def append(self, line: msgspec.Struct) -> None:
        os.write(self._descriptor, encode(line))
        os.fsync(self._descriptor)


@contextmanager
def appending(path: Path) -> Iterator[Writer]:
    """Append to ``path``, by one run at a time; what a kill left of a last line is cut off.

    Raises:
        RefusedError: if another run is writing to it, or it was packed and is damaged.
    """
    with _refusing():
        file = opened_for_lines(path)
    with file:
        yield Writer(file.fileno())


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except PackedError as error:
        raise RefusedError(f"{error}: begin anew with --fresh") from error
    except BusyError as error:
        raise RefusedError(f"{error}: wait for it") from None
