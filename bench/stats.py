"""Paired ratios and what can be said of them: pure functions on arrays.

The quantity is the ratio of an arm to the trunk within one round, where both
met the same machine. Rounds of one process resemble each other more than
rounds of different processes do (address layout and thread placement shift a
whole process, and what happens on the machine lasts longer than a round), so
each process speaks with one voice, the median of its ratios, and an interval
is Student's over these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array: TypeAlias = NDArray[np.float64]

LEVEL = 0.95
# 1.4826 times the median absolute deviation estimates a normal distribution's sd.
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval; infinite where nothing bounds it."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.half_width)

    def scaled(self, factor: float, shift: float = 0.0) -> Interval:
        """The interval of ``factor * x + shift``, for a positive factor."""
        return Interval(
            factor * self.estimate + shift, factor * self.low + shift, factor * self.high + shift
        )

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high


def interval_of_medians(processes: Sequence[Array], *, level: float = LEVEL) -> Interval | None:
    """The mean of the processes' medians, with Student's interval.

    The medians of k processes are k independent values whose spread holds
    everything that makes one process differ from another, and all that
    remains of the noise within, however heavy its tails or long its memory.
    So Student's t with k - 1 degrees of freedom covers what it says from two
    processes on.

    Args:
        processes: one array of values per process, a value per round.
        level: the interval's coverage.

    Returns:
        None if there are no values; with a single process the interval is infinite.
    """
    medians = np.array([np.median(process) for process in processes if len(process)])
    count = len(medians)
    if not count:
        return None
    estimate = float(medians.mean())
    if count == 1:
        return Interval(estimate, -math.inf, math.inf)
    reach = float(stdtrit(count - 1, (1 + level) / 2) * medians.std(ddof=1) / math.sqrt(count))
    return Interval(estimate, estimate - reach, estimate + reach)


def spread(values: Array) -> float | None:
    """The robust standard deviation of single values; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(MAD_TO_SD * np.median(np.abs(values - np.median(values))))


def ranks(estimates: Sequence[float], differ: Callable[[int, int], bool]) -> list[str]:
    """The rank of each estimate, smallest first; ``1=`` marks a tie.

    Those that do not differ from the first of their group share its rank. The
    next rank is the count of those before it, plus 1.

    Args:
        estimates: what is ranked.
        differ: whether two of them, by their places, can be told apart.
    """
    order = sorted(range(len(estimates)), key=lambda index: estimates[index])
    groups: list[list[int]] = []
    for index in order:
        if groups and not differ(groups[-1][0], index):
            groups[-1].append(index)
        else:
            groups.append([index])
    ranked = [""] * len(estimates)
    before = 0
    for group in groups:
        for index in group:
            ranked[index] = f"{before + 1}" + ("=" if len(group) > 1 else "")
        before += len(group)
    return ranked
