"""What else the machine did meanwhile: evidence to keep beside every sample."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Disturbance:
    """Differences over a span of time, and the load at its end; null where unknown."""

    involuntary_switches: int | None
    steal_s: float | None
    load_1m: float | None


class DisturbanceMeter:
    """Reads the counters when made, and again when asked."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._switches, self._steal_s = self._read()

    def lap(self) -> Disturbance:
        """What happened since the last lap."""
        switches, steal_s = self._read()
        before_switches, before_steal_s = self._switches, self._steal_s
        self._switches, self._steal_s = switches, steal_s
        return Disturbance(
            involuntary_switches=switches - before_switches,
            steal_s=None if steal_s is None or before_steal_s is None else steal_s - before_steal_s,
            load_1m=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        )

    def _read(self) -> tuple[int, float | None]:
        times = psutil.cpu_times()
        return self._process.num_ctx_switches().involuntary, getattr(times, "steal", None)
