"""Stands in for torch's CUDA graphs where there is no GPU: records operators, and replays them.

As in a real capture nothing that is recorded has a result yet: what was made
meanwhile is spoilt at its end. A replay runs the same operators on the same
storage, inputs included, and keeps none alive that was there before. What would
wait for the device is refused, and spoils the capture, whose end then raises and
leaves its stream the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")


@dataclass
class Graph:
    """For ``torch.cuda.CUDAGraph``."""

    calls: list[tuple[Callable[..., Any], Any, Any, Any]] = field(default_factory=list)
    replays: int = 0
    is_spoilt: bool = False

    def replay(self) -> None:
        self.replays += 1
        for function, *noted in self.calls:
            arguments, options, before = tree_map(_found, noted)
            after = function(*arguments, **options)
            for kept, made in zip(tensors(before), tensors(after), strict=True):
                if kept.data_ptr() != made.data_ptr():
                    kept.copy_(made)

    def pool(self) -> tuple[int, int]:
        return (0, id(self))


class _Borrowed:
    """A tensor from outside a capture: where it lies is known, but nobody keeps it there."""

    def __init__(self, tensor: Tensor) -> None:
        self._storage = StorageWeakRef(tensor.untyped_storage())
        self._dtype = tensor.dtype
        self._place = tensor.storage_offset(), tensor.shape, tensor.stride()

    def found(self) -> Tensor:
        storage = torch.UntypedStorage._new_with_weak_ptr(self._storage.cdata)
        if storage is None:
            raise RuntimeError("a replay reads memory that was freed")
        with _disable_current_modes():  # to find it is no operation of the replay's
            return torch.empty(0, dtype=self._dtype).set_(storage, *self._place)


class _Recording(TorchDispatchMode):
    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._graph = graph
        self._own: dict[int, Tensor] = {}  # by storage, what was made meanwhile

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func._schema.name in WAITS:
            self._graph.is_spoilt = True
            raise RuntimeError("operation not permitted when stream is capturing")
        made = func(*args, **(kwargs or {}))
        outside = {_storage(each) for each in tensors((args, kwargs))} - self._own.keys()
        for each in tensors(made):
            if _storage(each) not in outside:
                self._own.setdefault(_storage(each), each)
        self._graph.calls.append((func, *tree_map(self._noted, (args, kwargs or {}, made))))
        return made

    def spoil(self) -> None:
        for tensor in self._own.values():
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))

    def _noted(self, value: object) -> object:
        if isinstance(value, Tensor) and _storage(value) not in self._own:
            return _Borrowed(value)
        return value


@dataclass(frozen=True)
class Stream:
    """For ``torch.cuda.Stream``; the first is the one that is current at first."""

    device: torch.device
    log: list[str]
    cuda_stream: int = 0

    def wait_stream(self, other: Stream) -> None:
        self.log.append(f"{self.cuda_stream} waits for {other.cuda_stream}")


class Device:
    """All of ``torch.cuda`` that captures use, on the CPU.

    Attributes:
        log: what streams waited for, and on which stream there were forwards.
        graphs: all that were captured.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.graphs: list[Graph] = []
        self.capturing = False
        self._streams = [Stream(torch.device("cuda", 0), self.log)]
        self.current = self._streams[0]
        self._for_captures: Stream | None = None
        for name, value in {
            "CUDAGraph": self._graph,
            "graph": self._capture,
            "Stream": self._stream,
            "stream": self._on,
            "set_stream": self._set,
            "current_stream": lambda _device=None: self.current,
            "device": lambda _device: nullcontext(),
            "is_current_stream_capturing": lambda: self.capturing,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr("se_models.fused.graph._check_device", lambda _x: None)
        # What is packed for oneDNN has no storage to replay into; on a GPU nothing is.
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)

    def _graph(self) -> Graph:
        self.graphs.append(Graph())
        return self.graphs[-1]

    def _stream(self, _device: object = None) -> Stream:
        self._streams.append(Stream(torch.device("cuda", 0), self.log, len(self._streams)))
        return self._streams[-1]

    def _set(self, stream: Stream) -> None:
        self.current = stream

    @contextmanager
    def _on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def _capture(self, graph: Graph, stream: Stream | None = None) -> Iterator[None]:
        if stream is None:  # torch makes one for all captures, whichever device they are on
            self._for_captures = self._for_captures or self._stream()
            stream = self._for_captures
        before, self.current = self.current, stream
        self.capturing = True
        try:
            with _Recording(graph) as recording:
                yield
        finally:
            self.capturing = False
            if graph.is_spoilt:
                raise RuntimeError("operation failed due to a previous error during capture")
            self.current = before
        recording.spoil()


def tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _found(value: object) -> object:
    return value.found() if isinstance(value, _Borrowed) else value
