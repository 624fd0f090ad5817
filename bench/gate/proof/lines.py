"""What the proof of the gate records: a header, then a line for each run, as it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from bench.environment import Machine
from bench.method import recording
from bench.method.recording import RefusedError

# A revision against itself, in quiet and beside other work, and one with a slower placement.
Kind = Literal["quiet", "loaded", "slowed"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SCHEMA_VERSION = 1
RECORDING = "runs.jsonl"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line"):
    """A line; ``line`` tells which one."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for: equal ones make equal runs.

    ``gate_s`` is a gate's budget, ``rival_s`` what the rival measures each variant in
    each tree; ``slower_pct`` is by how much the slower placement is to be slower.
    """

    size: int
    threads: int
    gate_s: float
    rival_s: float
    slower_pct: float
    seed: int


class Header(_Line, frozen=True, tag="header"):
    """Of which commit and machine the runs after it are; ``rows`` is the work that slows.

    It is the first line, and stands again where another machine goes on.
    """

    schema: int
    created_at: str
    commit: str
    parameters: Parameters
    machine: Machine
    rows: int


class GateSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gate's exit code and, by variant, its verdict and the change in percent.

    ``told`` is its last line, ``wall_s`` all that it took.
    """

    code: int
    verdicts: dict[str, str]
    changes_pct: dict[str, float | None]
    triples: int
    seed: int
    wall_s: float
    told: str


class RivalSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pytest-benchmark's exit code and, by variant, the change of the median in percent."""

    code: int
    changes_pct: dict[str, float]
    wall_s: float
    told: str


class Ran(_Line, frozen=True, tag="ran"):
    """One comparison by both, one right after the other, and the wall time of all of it."""

    number: int
    kind: Kind
    rival_first: bool
    gate: GateSaid
    rival: RivalSaid
    taken_s: float


Line: TypeAlias = Header | Ran
_DECODER = msgspec.json.Decoder(Line)


@dataclass(frozen=True)
class Recording:
    """All runs, and the headers before and between them: one for each machine."""

    headers: tuple[Header, ...]
    runs: tuple[Ran, ...]

    @property
    def header(self) -> Header:
        """The one that a run to come belongs to."""
        return self.headers[-1]


def read(path: Path) -> Recording:
    """A whole file; a last line that a kill tore in half is left out.

    Raises:
        RefusedError: if it is no recording, of another schema version, or damaged.
    """
    try:
        header, *others = (_DECODER.decode(line) for line in path.read_bytes().split(b"\n")[:-1])
    except (msgspec.MsgspecError, ValueError) as error:
        raise RefusedError(f"{path} is damaged ({error}): move it away to begin anew") from error
    if not isinstance(header, Header) or header.schema != SCHEMA_VERSION:
        raise RefusedError(
            f"{path} must begin with a header of schema {SCHEMA_VERSION}: move it away to begin "
            "anew"
        )
    return Recording(
        (header, *(line for line in others if isinstance(line, Header))),
        tuple(line for line in others if isinstance(line, Ran)),
    )


def check_same(path: Path, recorded: Header, parameters: Parameters, commit: str) -> None:
    """Refuse to go on with what was recorded otherwise.

    Raises:
        RefusedError: naming what differs.
    """
    changed = [
        f"{name} was {getattr(recorded.parameters, name)!r}, is {getattr(parameters, name)!r}"
        for name in Parameters.__struct_fields__
        if getattr(recorded.parameters, name) != getattr(parameters, name)
    ]
    if recorded.commit != commit:
        changed.append(f"the commit was {recorded.commit[:12]}, is {commit[:12]}")
    if changed:
        raise RefusedError(
            f"{path} cannot be gone on with, since {'; '.join(changed)}: move it away to begin anew"
        )


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Line], None]]:
    """Append lines, each on the disk when the call returns, by one process at a time.

    What a kill left of a last line is cut off.

    Raises:
        RefusedError: if another process appends to it.
    """
    with recording.appending(path) as writer:
        yield writer.append
