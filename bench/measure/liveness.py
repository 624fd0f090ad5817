"""The most bytes that a forward has in live tensors at once: what no allocator can go below."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from torch import Tensor

from bench.measure.dispatch import Call


class LiveBytes:
    """The sum of live storages after every call, as an observer of a forward's calls.

    It is the storage that is tracked, not the tensor: views and in-place
    results add nothing, and memory is free only when the last of them is.

    Args:
        held: what is alive from the start: parameters, buffers, the input.

    Attributes:
        now_bytes: the live storages at this moment.
        peak_bytes: the most they have been.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        self.now_bytes = 0
        self.peak_bytes = 0
        self._alive: dict[int, int] = {}
        self._add(held)

    def see(self, call: Call) -> None:
        self._add(call.outputs)

    def _add(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            # Each call of untyped_storage() may wrap it anew; the address is the identity.
            address = storage._cdata
            if address in self._alive:
                continue
            self._alive[address] = storage.nbytes()
            self.now_bytes += storage.nbytes()
            weakref.finalize(storage, self._drop, address).atexit = False
        self.peak_bytes = max(self.peak_bytes, self.now_bytes)

    def _drop(self, address: int) -> None:
        self.now_bytes -= self._alive.pop(address)
