"""The most bytes that a forward has in live tensors at once: what no allocator can go below."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from torch import Tensor

from bench.measure.dispatch import Call, memory_of


class LiveBytes:
    """The sum of live storages after every call, as an observer of a forward's calls.

    It is the storage that is tracked, not the tensor: views and in-place
    results add nothing, and memory is free only when the last of them is. What
    an operator takes that none has made was there all along, such as weights in
    a layout of their own.

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
        self.peak_bytes = self.now_bytes

    def see(self, call: Call) -> None:
        self.peak_bytes += self._add(call.inputs)
        self._add(call.outputs)
        self.peak_bytes = max(self.peak_bytes, self.now_bytes)

    def _add(self, tensors: Iterable[Tensor]) -> int:
        """The bytes of those that were not known to be alive."""
        before_bytes = self.now_bytes
        for tensor in tensors:
            address, size_bytes = memory_of(tensor)
            if address in self._alive:
                continue
            self._alive[address] = size_bytes
            self.now_bytes += size_bytes
            owner = tensor if tensor.is_mkldnn else tensor.untyped_storage()
            weakref.finalize(owner, self._drop, address).atexit = False
        return self.now_bytes - before_bytes

    def _drop(self, address: int) -> None:
        self.now_bytes -= self._alive.pop(address)
