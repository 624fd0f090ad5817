"""The counters by which the blocks of an excitation meet: 0 whenever none is under way.

The last block of a launch sets its counter back to 0, so that launches of one
stream, which follow each other, may share them. Launches that could run at the
same time may not: each stream has counters of its own, and so must each stream of
each graph that is captured, since it may be replayed on any.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from se_models.fused.cuda.launch import MOST_BLOCKS

ByStream = dict[tuple[int, int], Tensor]

# One for each group of images that a launch takes, of which a grid has no more: 256 KiB.
COUNTERS = MOST_BLOCKS[1]


class Arrivals:
    """Hands out counters for the stream, or the capture, that is current on a device."""

    def __init__(self) -> None:
        self._of_stream: ByStream = {}
        self._local = threading.local()  # other threads go on launching during a capture

    def __call__(self, device: torch.device) -> Tensor:
        kept = self._of_stream
        if torch.cuda.is_current_stream_capturing():
            of_graph: ByStream | None = getattr(self._local, "of_graph", None)
            if of_graph is None:
                # Nobody says whose graph it is: it gets counters that every replay clears first.
                return _cleared(device)
            kept = of_graph
        key = _key(torch.cuda.current_stream(device))
        if key not in kept:
            kept[key] = _cleared(device)
        return kept[key]

    @contextmanager
    def of_a_graph(self, device: torch.device, stream: torch.cuda.Stream) -> Iterator[ByStream]:
        """Counters by stream for what is captured meanwhile; the graph must keep all it finds here.

        Those of ``stream``, which captures, are there before it does. Those of a stream that
        joins are made in the capture, so that every replay clears them first.
        """
        counters = {_key(stream): _cleared(device)}
        self._local.of_graph = counters
        try:
            yield counters
        finally:
            self._local.of_graph = None


def _key(stream: torch.cuda.Stream) -> tuple[int, int]:
    return (stream.device.index, stream.cuda_stream)


def _cleared(device: torch.device) -> Tensor:
    return torch.zeros(COUNTERS, dtype=torch.int32, device=device)


arrivals = Arrivals()
