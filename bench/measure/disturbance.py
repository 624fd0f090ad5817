"""What else the machine did meanwhile: evidence to keep beside every sample."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Disturbance:
    """What happened over a span of time, and the load at its end; null where unknown."""

    involuntary_switches: int
    steal_s: float | None
    load_1m: float


class DisturbanceMeter:
    """Reads the counters when made, and again when asked.

    Switches are of all threads of this process, stolen time is of all CPUs.
    """

    def __init__(self) -> None:
        self._switches, self._steal_s = _read()

    def stop(self) -> Disturbance:
        """What happened since the meter was made."""
        switches, steal_s = _read()
        before_s = self._steal_s
        return Disturbance(
            involuntary_switches=switches - self._switches,
            steal_s=None if steal_s is None or before_s is None else steal_s - before_s,
            load_1m=os.getloadavg()[0],
        )


def _read() -> tuple[int, float | None]:
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    return switches, getattr(psutil.cpu_times(), "steal", None)
