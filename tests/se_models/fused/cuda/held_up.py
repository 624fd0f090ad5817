"""Streams that are held up, on the stand-in for torch's: what is launched there waits in line.

Until another stream waits for one that is held up, or its results are asked
for, nothing of what was launched on it is there: outputs are NaN. Then all
streams go on, an operator of each in turn.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map

from tests.se_models.fused.cuda.stand_in import WAITS, Device, Graph, Stream, tensors


class HeldUp(TorchDispatchMode):
    """While it is entered, ``torch.cuda._sleep`` holds up the stand-in's current stream.

    Attributes:
        lines: how many operators waited on each stream when all went on.
    """

    def __init__(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lines: list[int] = []
        self._device = device
        self._waiting: dict[int, list[Any]] = {}
        wait_stream = Stream.wait_stream

        def wait(stream: Stream, other: Stream) -> None:
            wait_stream(stream, other)
            if other.cuda_stream in self._waiting:
                self._go_on()

        monkeypatch.setattr(Stream, "wait_stream", wait)
        monkeypatch.setattr(torch.cuda, "_sleep", lambda _cycles: self._hold())

    def _hold(self) -> None:
        self._waiting.setdefault(self._device.current.cuda_stream, [])

    def _go_on(self) -> None:
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self.lines = [len(calls) for calls in waiting]
        with _disable_current_modes():
            for turn in zip_longest(*waiting):
                Graph([call for call in turn if call is not None]).replay()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        options = kwargs or {}
        own = self._waiting.get(self._device.current.cuda_stream)
        if own is not None and func._schema.name in WAITS:
            self._go_on()
        elif own is not None:
            made = _promised(func, args, options)
            own.append((func, args, options, made))
            return made
        return func(*args, **options)


def _promised(func: Any, args: Any, options: Any) -> object:
    """What an operator will return, without values; nothing that is there already changes."""
    places = {each.untyped_storage().data_ptr() for each in tensors((args, options))}
    if not func._schema.is_mutable:
        made = func(*args, **options)
    else:
        copies: dict[int, Tensor] = {}

        def copied(leaf: object) -> object:
            if not isinstance(leaf, Tensor):
                return leaf
            copy = leaf.clone()
            copies[copy.data_ptr()] = leaf
            return copy

        made = func(*tree_map(copied, args), **tree_map(copied, options))
        made = tree_map(lambda leaf: _original(leaf, copies), made)
    for tensor in tensors(made):
        if tensor.untyped_storage().data_ptr() not in places and tensor.is_floating_point():
            tensor.fill_(torch.nan)
    return made


def _original(leaf: object, copies: dict[int, Tensor]) -> object:
    return copies.get(leaf.data_ptr(), leaf) if isinstance(leaf, Tensor) else leaf
