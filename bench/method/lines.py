"""What the proof records: a line of JSON for the header, and one for every process.

A line keeps what its process said, not its raw times.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bench.environment import Machine, Source
from bench.method.load import Load
from bench.method.rivals import Told
from bench.waiting import Waiting

SCHEMA_VERSION = 2


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for.

    ``length_s`` is how long each method measures all models, ``processes`` how
    many this suite takes for it; ``equal_models`` stand beside the trunk, and one
    for each of ``slowdowns_pct``. ``truth_processes`` of ``truth_s`` seconds each
    find the true sizes of the slowdowns.
    """

    load: Load
    waiting: Waiting
    size: int
    threads: int
    processes: int
    length_s: float
    equal_models: int
    slowdowns_pct: tuple[float, ...]
    truth_processes: int
    truth_s: float
    seed: int

    @property
    def arms_pct(self) -> tuple[float, ...]:
        """By how much each arm is slowed, the trunk and the equal models first."""
        return (0.0,) * (1 + self.equal_models) + self.slowdowns_pct


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """A line; ``kind`` tells which one."""


class Header(_Line, frozen=True, tag="header"):
    """What all lines have in common.

    ``operators`` are the calls that slow each slowed model, in the order of
    ``slowdowns_pct``; ``wall_s`` is what finding them took.
    """

    schema: int
    created_at: str
    parameters: Parameters
    operators: tuple[int, ...]
    machine: Machine
    source: Source
    wall_s: float

    @property
    def arms(self) -> tuple[str, ...]:
        """The trunk, the equal models and the slowed ones: names for `bench.measure.pairs`."""
        equal = ("none",) * (1 + self.parameters.equal_models)
        return equal + tuple(f"slowed-{count}" for count in self.operators)


class Rounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process says that measured all arms in rounds.

    ``ratios`` are medians of each arm's ratio to the trunk, the trunk's own
    first; ``inside`` is the share of the wall time that forwards took.
    """

    ratios: tuple[float, ...]
    rounds: int
    inside: float


class Truth(_Line, frozen=True, tag="truth"):
    """A long process, for the slowdowns' true sizes; ``wall_s`` is 0 where it was taken over."""

    process: int
    load: Load
    waiting: Waiting
    said: Rounds
    wall_s: float


class Paired(_Line, frozen=True, tag="paired"):
    """One of a set's processes as this suite measures."""

    set: int
    process: int
    waiting: Waiting
    said: Rounds
    wall_s: float


class Alone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process says that ran each arm by itself, in the ``order`` given.

    ``told`` is, by tool, what it says of each arm.
    """

    order: tuple[int, ...]
    told: dict[str, tuple[Told, ...]]

    def is_next_to_trunk(self, arm: int) -> bool:
        """Whether nothing ran between the arm and the trunk."""
        return abs(self.order.index(arm) - self.order.index(0)) == 1


class Sequential(_Line, frozen=True, tag="sequential"):
    """A set's process as other tools measure."""

    set: int
    waiting: Waiting
    said: Alone
    wall_s: float


Line: TypeAlias = Header | Truth | Paired | Sequential

_DECODER = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    """One line of strict JSON, its newline included."""
    return msgspec.json.encode(line) + b"\n"


def decode(line: bytes) -> Line:
    """The line that was encoded.

    Raises:
        msgspec.MsgspecError: if it is none.
    """
    return _DECODER.decode(line)
