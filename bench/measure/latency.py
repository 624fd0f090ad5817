"""Rounds: every arm of a block once, back to back, in an order that is given."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

import torch

from bench.measure.disturbance import DisturbanceMeter
from bench.measure.paths import Forward
from bench.measure.timers import Timer
from bench.record import Round


class Rounds:
    """Measures the arms of one visit; each has run once, when it was checked.

    Between the first and the last sample of a round nothing happens but the
    forwards: no display, no write, no garbage collection.
    """

    def __init__(self, visit: str, forwards: Sequence[Forward], timer: Timer) -> None:
        self._visit = visit
        self._forwards = tuple(forwards)
        self._timer = timer

    @torch.inference_mode()
    def run(self, order: Sequence[int]) -> Round:
        """One round; ``order`` names each arm once."""
        samples_s = [0.0] * len(self._forwards)
        cpu_samples_s = [0.0] * len(self._forwards)
        gc.disable()
        meter = DisturbanceMeter()
        try:
            started_s = time.perf_counter()
            for arm in order:
                cpu_s = time.process_time()
                samples_s[arm] = self._timer.time(self._forwards[arm])
                cpu_samples_s[arm] = (time.process_time() - cpu_s) / self._timer.forwards
            ended_s = time.perf_counter()
        finally:
            gc.enable()
        disturbance = meter.stop()
        return Round(
            visit=self._visit,
            order=tuple(order),
            samples_s=tuple(samples_s),
            started_s=started_s,
            ended_s=ended_s,
            involuntary_switches=disturbance.involuntary_switches,
            steal_s=disturbance.steal_s,
            load_1m=disturbance.load_1m,
            cpu_samples_s=tuple(cpu_samples_s),
        )
