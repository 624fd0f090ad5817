"""The counters by which the blocks of an excitation meet: 0 whenever none is under way.

The last block of a launch sets its counter back to 0, so that launches of one
stream, which follow each other, may share them. Launches that could run at the
same time may not: each stream has counters of its own, and so must each graph
that is captured, since it may be replayed on any stream.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Of images, or groups of images, that one launch takes.
COUNTERS = 1024


class Arrivals:
    """Hands out counters for the stream, or the capture, that is current on a device."""

    def __init__(self) -> None:
        self._of_stream: dict[tuple[int, int], Tensor] = {}
        self._local = threading.local()  # other threads go on launching during a capture

    def __call__(self, device: torch.device) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            of_graph: Tensor | None = getattr(self._local, "of_graph", None)
            # If nobody says whose graph it is, it gets counters that every replay clears first.
            return _cleared(device) if of_graph is None else of_graph
        stream = torch.cuda.current_stream(device)
        key = (stream.device.index, stream.cuda_stream)
        if key not in self._of_stream:
            self._of_stream[key] = _cleared(device)
        return self._of_stream[key]

    @contextmanager
    def of_a_graph(self, device: torch.device) -> Iterator[Tensor]:
        """Counters for what is captured meanwhile; the graph must keep them as long as it lives."""
        counters = _cleared(device)
        self._local.of_graph = counters
        try:
            yield counters
        finally:
            self._local.of_graph = None


def _cleared(device: torch.device) -> Tensor:
    return torch.zeros(COUNTERS, dtype=torch.int32, device=device)


arrivals = Arrivals()
