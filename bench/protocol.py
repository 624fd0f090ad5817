"""What a run and its workers say to each other: JSON lines over a pipe.

The run sends one command at a time. The worker answers with records as it
makes them, then with Ready. A worker that nobody commands does nothing, so
between rounds the run may write, compute and paint without disturbing any.
"""

from __future__ import annotations

import msgspec

from bench.record import Arm, Record
from bench.trial import Trial


class Reference(msgspec.Struct, frozen=True, tag_field="kind", tag="reference"):
    """What a trial's output ought to be; it is kept in no file.

    ``output`` is that of float64, its elements' bytes in a row; ``rounding``
    how far off eager execution on the CPU is in the trial's dtype, as
    max|a - b| / max|b|.
    """

    trial: Trial
    output: bytes
    rounding: float


class Preparing(msgspec.Struct, frozen=True, tag_field="kind", tag="preparing"):
    """A sign of life, kept in no file: this arm comes next, and may take minutes to prepare."""

    arm: Arm


class _Command(msgspec.Struct, frozen=True, tag_field="do"):
    """A command; ``do`` tells which one."""


class CountTrials(_Command, frozen=True, tag="count"):
    """Count each trial; answered by Counts, or an Outcome for one that fails."""

    trials: tuple[Trial, ...]


class MeasureMemory(_Command, frozen=True, tag="memory"):
    """Answered by Memory, or by an Outcome."""

    trial: Trial


class MakeReferences(_Command, frozen=True, tag="reference"):
    """Compute each trial in float64; answered by Reference, or an Outcome."""

    trials: tuple[Trial, ...]


class OpenBlock(_Command, frozen=True, tag="open"):
    """Build the arms; answered by Preparing for each, an Outcome if it fails, then by Block.

    ``references`` has for each arm what its output ought to be; an arm without
    one stays away. The Block names the arms that ride; without a trunk it
    names none.
    """

    block: str
    visit: str
    seed: int
    arms: tuple[Arm, ...]
    references: tuple[Reference | None, ...]


class RunRound(_Command, frozen=True, tag="round"):
    """One round of the open block, in this order of its arms; answered by Round."""

    order: tuple[int, ...]


class CloseBlock(_Command, frozen=True, tag="close"):
    """Answered by an Outcome ``ok`` for each arm that rode."""


class Hold(_Command, frozen=True, tag="hold"):
    """Build what is to be compared between source trees, and run it until warm; answered by Held.

    ``what`` is a trial as JSON, which the other tree may not know, or the
    ``module:factory`` of something that is not ours.
    """

    what: str


class RunHeld(_Command, frozen=True, tag="run"):
    """Run once what is held at a place; answered by Sample."""

    place: int


Command = (
    CountTrials | MeasureMemory | MakeReferences | OpenBlock | RunRound | CloseBlock
    | Hold | RunHeld
)  # fmt: skip


class Ready(msgspec.Struct, frozen=True, tag_field="kind", tag="ready"):
    """The command is done."""


class Tree(msgspec.Struct, frozen=True, tag_field="kind", tag="tree"):
    """Where a process has found the package whose source trees are compared."""

    file: str


class Held(msgspec.Struct, frozen=True, tag_field="kind", tag="held"):
    """The place of what was built, or why there is none; ``lacking`` if no such thing exists."""

    place: int | None
    reason: str | None = None
    lacking: bool = False


class Sample(msgspec.Struct, frozen=True, tag_field="kind", tag="sample"):
    """One forward, by the process's clock, and the CPU time of all its threads."""

    wall_s: float
    cpu_s: float


Answer = Record | Reference | Preparing
Reply = Answer | Tree | Held | Sample | Ready

_COMMANDS = msgspec.json.Decoder(Command)
_REPLIES = msgspec.json.Decoder(Reply)


def encode(message: Command | Reply) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def decode_command(line: bytes) -> Command:
    return _COMMANDS.decode(line)


def decode_reply(line: bytes) -> Reply:
    return _REPLIES.decode(line)
