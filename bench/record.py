"""The records of a run: frozen, versioned, one JSON line each, appended as they come.

A file begins with a Header; then lines of every kind follow in the order of
their making. What a table shows is derived from them and never stored.
Missing is null, never 0; nothing is rounded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from types import TracebackType
from typing import Literal, Self, TypeVar

import msgspec

from bench.environment import Machine, Runtime, Source
from bench.line_files import PackedError, content, opened_for_lines
from bench.trial import Trial

SCHEMA_VERSION = 1

Quantity = Literal["counts", "memory", "latency"]
Status = Literal["ok", "unsupported", "oom", "timeout", "crashed", "wrong_result"]
# ``eager`` is the plain trunk by the plain path, which rides beside other paths.
Role = Literal["trunk", "control", "variant", "eager"]

T = TypeVar("T")


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """A line; ``kind`` tells which one."""


class Header(_Line, frozen=True, tag="header"):
    """The first line: what the lines after it mean."""

    schema: int
    created_at: str
    suite_version: str


class Environment(_Line, frozen=True, tag="environment"):
    """The machine, once per worker process.

    ``startup_s`` is the time from the process's start until torch was loaded.
    """

    worker: str
    machine: Machine
    source: Source
    runtime: Runtime
    startup_s: float


class Planned(_Line, frozen=True, tag="planned"):
    """A trial that a run set out to measure: from here on it has a row, whatever comes of it."""

    trial: Trial


class Counts(_Line, frozen=True, tag="counts"):
    """What can be counted, and is the same each time; of fused trials for one kind of device.

    ``macs`` are multiply-adds of convolutions and matrix products (1 MAC = 1);
    ``elementwise_ops`` one per output element of every other operator;
    ``ideal_bytes`` the distinct inputs read and outputs written by each operator;
    ``live_peak_bytes`` the largest sum of live storages, weights and input included.
    """

    trial: Trial
    params: int
    se_params: int
    macs: int
    elementwise_ops: int
    ideal_bytes: int
    operators: int
    live_peak_bytes: int


class Memory(_Line, frozen=True, tag="memory"):
    """By how much a fresh process grew at its peak: weights, activations, scratch.

    Of paths other than eager PyTorch, the peak of running what was prepared. On
    a GPU the peak is that of the allocator's tensors, beside what it had
    reserved for them, and what of that lies in the private pools of CUDA graphs.
    A graph's peak is that of its capture, since its replays write where the
    capture's tensors lay, though the allocator counts them as free.
    """

    trial: Trial
    resident_growth_bytes: int | None
    device_peak_bytes: int | None
    device_reserved_bytes: int | None = None
    device_pool_bytes: int | None = None


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model that rides in a block."""

    trial: Trial
    role: Role


class Block(_Line, frozen=True, tag="block"):
    """Arms that one worker measured together; a block is visited by several workers.

    ``arms`` ride; ``absent`` belong to the block but could not be prepared.
    ``wrong_by`` says of each that rides by how much its output differed from
    float64 there and then, ``arm_prepare_s`` how long it took from the model to
    its first output; null in older files. An export that was found made counts with
    what making it took, compiled code that was found does not. ``seed`` is that of
    the orders of the rounds; ``forwards_per_sample`` how many a sample is the mean of.
    On a GPU ``arm_host_s`` says how long the host takes to launch a forward, and
    ``arm_device_s`` how long the device, when it need not wait for launches.
    """

    block: str
    visit: str
    worker: str
    seed: int
    arms: tuple[Arm, ...]
    absent: tuple[Arm, ...]
    wrong_by: tuple[float, ...]
    forwards_per_sample: int
    prepare_s: float
    arm_prepare_s: tuple[float, ...] | None = None
    arm_host_s: tuple[float, ...] | None = None
    arm_device_s: tuple[float, ...] | None = None


class Round(_Line, frozen=True, tag="round"):
    """Every arm once, in a recorded order, and what disturbed it.

    ``samples_s`` stands in the order of the block's arms, ``order`` names
    those arms in the order they ran. Times are the worker's monotonic clock.
    ``cpu_samples_s`` is the CPU time of all the worker's threads meanwhile, a
    second clock that other processes disturb less; null in older files.
    """

    visit: str
    order: tuple[int, ...]
    samples_s: tuple[float, ...]
    started_s: float
    ended_s: float
    involuntary_switches: int | None
    steal_s: float | None
    load_1m: float | None
    parent_cpu_s: float | None = None
    cpu_samples_s: tuple[float, ...] | None = None


class Visited(_Line, frozen=True, tag="visited"):
    """A visit that came to its end, and the wall time it took, building its arms included."""

    visit: str
    wall_s: float


class Outcome(_Line, frozen=True, tag="outcome"):
    """What became of a trial; a failure is a row, never a hole."""

    trial: Trial
    quantity: Quantity
    status: Status
    reason: str | None = None
    visit: str | None = None


Record = (
    Header | Environment | Planned | Counts | Memory | Block | Round | Visited | Outcome
)  # a tagged union: ``kind`` decides

_DECODER = msgspec.json.Decoder(Record)
_ENCODER = msgspec.json.Encoder()
_HEADER_START = b'{"kind":"header"'


class SchemaError(ValueError):
    """A file that this version of the suite cannot read."""


def encode(record: Record) -> bytes:
    """The record as one line of strict JSON, its newline included."""
    return _ENCODER.encode(record) + b"\n"


def decode(line: bytes | str) -> Record:
    """The record in one line.

    Raises:
        SchemaError: if it is none.
    """
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise SchemaError(f"not a record: {error}") from error


def select(records: Iterable[object], kind: type[T]) -> Iterator[T]:
    """The records of one kind, in their order."""
    return (record for record in records if isinstance(record, kind))


def read(path: FilePath) -> list[Record]:
    """All records of a file, packed or not; a last line that a kill tore in half is left out.

    Raises:
        SchemaError: if the file is of another schema version, or damaged.
        FileNotFoundError: if there is none.
    """
    try:
        *lines, torn = content(path).split(b"\n")
    except PackedError as error:
        raise SchemaError(f"{error}; measure anew with --fresh") from error
    if not lines and not _HEADER_START.startswith(torn[: len(_HEADER_START)]):
        raise SchemaError(f"{path} holds no records")
    if not lines:
        return []
    _check_header(lines[0], path)
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(decode(line))
        except SchemaError as error:
            raise SchemaError(f"{path}, line {number}: {error}") from error
    return records


def _check_header(line: bytes, path: FilePath) -> None:
    try:
        header = msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        raise SchemaError(f"{path} holds no records: {error}") from error
    schema = header.get("schema") if isinstance(header, dict) else None
    if schema != SCHEMA_VERSION:
        raise SchemaError(
            f"schema of {path} must be {SCHEMA_VERSION}, got {schema!r}: read it with the "
            "version of the suite that wrote it, or measure anew with --fresh"
        )


class Journal:
    """A record file open for appending, by one run at a time; a packed one is unpacked.

    Every line is written as it comes, so that a killed process loses none;
    the disk is told at least once a second, so that a killed machine loses
    little. ``append`` is for the pauses between rounds.
    """

    SYNC_EVERY_S = 1.0

    def __init__(self, path: FilePath, *, header: Header) -> None:
        self.path = path
        self._file = opened_for_lines(path)
        self._synced_at = time.monotonic()
        if path.stat().st_size == 0:
            self.append(header)

    def append(self, record: Record) -> None:
        self._file.write(encode(record))
        if time.monotonic() - self._synced_at >= self.SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if not self._file.closed:
            self.sync()
            self._file.close()
