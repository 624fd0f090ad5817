"""Clocks: how long one forward takes, on the device where it runs."""

from __future__ import annotations

import time
from typing import Protocol

import torch

from bench.measure.paths import Forward
from bench.trial import Device

# Launches between two CUDA events last at least this long, so that the events'
# own resolution (0.5 us) is far below the differences in question.
CUDA_BATCH_S = 2e-3
# A device's clock may be slower than this, and a launch take longer than the last one did.
_MOST_HZ, _HELD_UP = 2.5e9, 1.5


class Timer(Protocol):
    """Seconds of one forward: the mean of ``forwards``."""

    forwards: int

    def time(self, forward: Forward) -> float: ...


class WallTimer:
    """The monotonic clock around one forward, for devices that return when they are done."""

    forwards = 1

    def time(self, forward: Forward) -> float:
        start = time.perf_counter()
        forward()
        return time.perf_counter() - start


class CudaEventTimer:
    """CUDA events around a batch of forwards: the host waits once, at the end.

    The caches are as the forward before left them (warm).
    """

    def __init__(self, forwards: int) -> None:
        self.forwards = forwards
        self._start = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    def time(self, forward: Forward) -> float:
        self._start.record()
        for _ in range(self.forwards):
            forward()
        self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end) / 1e3 / self.forwards

    def host_s(self, forward: Forward) -> float:
        """What the host takes to launch a forward, the device being idle at first."""
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(self.forwards):
            forward()
        launched_s = time.perf_counter() - start
        torch.cuda.synchronize()
        return launched_s / self.forwards

    def device_s(self, forward: Forward) -> float:
        """What the device takes for a forward, all its launches waiting in line.

        The line is held up by a kernel that does nothing for as long as launching takes.
        """
        torch.cuda._sleep(round(_HELD_UP * self.host_s(forward) * self.forwards * _MOST_HZ))
        return self.time(forward)


def timer_for(device: Device, forward: Forward) -> Timer:
    """The clock for a device; ``forward``, which has run before, shows how many make a batch."""
    if device == "cpu":
        return WallTimer()
    once = CudaEventTimer(1).time(forward)
    return CudaEventTimer(max(1, round(CUDA_BATCH_S / once)))
