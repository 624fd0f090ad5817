"""What the proof records: a line of JSON for the header, and one for every process.

Lines hold what was measured, raw; what follows from it is computed when it is read.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bench.environment import Machine, Source
from bench.method.load import Load
from bench.waiting import Waiting

SCHEMA_VERSION = 3


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

    ``rows`` say how much work slows each slowed model (`bench.measure.slowed`),
    in the order of ``slowdowns_pct``; ``wall_s`` is what finding them took.
    """

    schema: int
    created_at: str
    parameters: Parameters
    rows: tuple[int, ...]
    machine: Machine
    source: Source
    wall_s: float

    @property
    def arms(self) -> tuple[str, ...]:
        """The trunk, the equal models and the slowed ones: names for `bench.measure.pairs`."""
        equal = ("none",) * (1 + self.parameters.equal_models)
        return equal + tuple(f"slowed-{count}" for count in self.rows)


class Rounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process that measured all arms in rounds.

    ``wall_ns`` and ``cpu_ns`` hold for each round the times of all arms, in
    their order, by the clock and by the process's CPU time. ``span_s`` is the
    time from the first round's start to the last one's end.
    """

    wall_ns: tuple[tuple[int, ...], ...]
    cpu_ns: tuple[tuple[int, ...], ...]
    span_s: float
    involuntary_switches: int | None
    steal_s: float | None


class Alone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process that ran each arm by itself, in the ``order`` given.

    ``wall_ns`` holds for each arm, in the arms' own order, the times of its
    forwards; ``timer_overhead_s`` is what torch's timer takes for nothing.
    """

    order: tuple[int, ...]
    wall_ns: tuple[tuple[int, ...], ...]
    timer_overhead_s: float

    def is_next_to_trunk(self, arm: int) -> bool:
        """Whether nothing ran between the arm and the trunk."""
        return abs(self.order.index(arm) - self.order.index(0)) == 1


class Process(_Line, frozen=True):
    """A process, and the wall time it took to start and from its first forward to its end."""

    startup_s: float
    wall_s: float

    @property
    def taken_s(self) -> float:
        """All of it."""
        return self.startup_s + self.wall_s


class Truth(Process, frozen=True, tag="truth"):
    """A long one, for the slowdowns' true sizes."""

    process: int
    said: Rounds


class Paired(Process, frozen=True, tag="paired"):
    """One of a set's processes as this suite measures."""

    set: int
    process: int
    said: Rounds


class Sequential(Process, frozen=True, tag="sequential"):
    """A set's process as other tools measure."""

    set: int
    said: Alone


Line: TypeAlias = Header | Truth | Paired | Sequential

_DECODER = msgspec.json.Decoder(Line)


def encode(line: msgspec.Struct) -> bytes:
    """One line of strict JSON, its newline included."""
    return msgspec.json.encode(line) + b"\n"


def decode(line: bytes) -> Line:
    """The line that was encoded.

    Raises:
        msgspec.MsgspecError: if it is none.
    """
    return _DECODER.decode(line)
