"""Every arm by itself, one after the other, as tools measure that know no pairs."""

from __future__ import annotations

import gc
import random
import statistics
import time
import timeit
from collections.abc import Sequence

import torch

from bench.measure.paths import Forward
from bench.measure.timers import WallTimer

# One loop of the tool that takes most: ten forwards to warm up, and forty.
LEAST_FORWARDS = 50


@torch.inference_mode()
def in_sequence(
    forwards: Sequence[Forward], seconds: float, order: Sequence[int]
) -> list[list[float]]:
    """Raw times of each arm, in seconds: a list for every one of ``forwards``, in their order.

    Arms run in the ``order`` given, each for ``seconds``, and for
    ``LEAST_FORWARDS`` where these take longer. No garbage is collected meanwhile.
    """
    timer = WallTimer()
    times_s: list[list[float]] = [[] for _ in forwards]
    for arm in order:
        gc.collect()
        gc.disable()
        try:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or len(times_s[arm]) < LEAST_FORWARDS:
                times_s[arm].append(timer.time(forwards[arm]))
        finally:
            gc.enable()
    return times_s


def drawn_order(arms: int, seed: int) -> list[int]:
    """Which arm runs when; the same seed gives the same."""
    return random.Random(seed).sample(range(arms), arms)


def timer_overhead_s() -> float:
    """What torch's benchmark timer takes for nothing, as ``Timer._estimate_block_size`` has it."""
    from torch.utils import benchmark  # takes long to import, and rounds need none of it

    nothing = timeit.Timer(timer=benchmark.timer)
    return statistics.median(nothing.timeit(0) for _ in range(5))
