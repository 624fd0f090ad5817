"""CUDA's own clock in a form that pytest-benchmark takes for a timer."""

from __future__ import annotations

from collections.abc import Callable

from bench.measure.paths import Forward
from bench.measure.timers import CudaEventTimer

# By so much it goes on at every look, since pytest-benchmark waits until a timer does:
# far less than CUDA's events tell apart.
LOOK_S = 1e-9


class DeviceClock:
    """Tells how long the device has worked so far; it goes on while something is timed.

    pytest-benchmark takes the difference of two looks around a call, and by a host's
    clock that would be what launching takes.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self._timer: CudaEventTimer | None = None

    def __call__(self) -> float:
        """The seconds so far."""
        self._now_s += LOOK_S
        return self._now_s

    def timed(self, forward: Forward) -> Callable[[], object]:
        """The forward between two events; the clock goes on by the time between these."""
        timer = self._timer = self._timer or CudaEventTimer(1)

        def run() -> None:
            self._now_s += timer.time(forward)

        return run
