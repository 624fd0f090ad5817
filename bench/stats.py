"""Paired ratios and what can be said of them: pure functions on arrays.

The quantity is the ratio of an arm to the trunk within one round, where both
met the same machine; the statistic is the median of those ratios. Rounds of
one process resemble each other more than rounds of different processes do
(address layout and thread placement shift a whole process), so intervals come
from a bootstrap over processes, then over the rounds within them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
# A bootstrap holds about so many values at once, some dozens of megabytes.
DRAWN_AT_ONCE = 1_000_000
# 1.4826 times the median absolute deviation estimates a normal distribution's sd.
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def scaled(self, factor: float, shift: float = 0.0) -> Interval:
        """The interval of ``factor * x + shift``, for a positive factor."""
        return Interval(
            factor * self.estimate + shift, factor * self.low + shift, factor * self.high + shift
        )

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high


def bootstrap_median(
    processes: Sequence[Array], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """The median over all rounds of all processes, with its percentile interval.

    Args:
        processes: one array of values per process, a value per round.
        resamples: bootstrap draws.
        level: the interval's nominal coverage. With 5 processes a nominal 95 %
            covers about 93.5 %, with 3 about 88 %.
        seed: of the draws; the same data give the same interval.

    Returns:
        None if there are no values.
    """
    values = [np.asarray(process, dtype=np.float64) for process in processes if len(process)]
    if not values:
        return None
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // (len(values) * max(map(len, values))))
    chunks = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    medians = np.concatenate([_resampled_medians(values, chunk, rng) for chunk in chunks])
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Interval(float(np.median(np.concatenate(values))), float(low), float(high))


def _resampled_medians(values: Sequence[Array], resamples: int, rng: np.random.Generator) -> Array:
    """Medians of draws of processes, and of rounds within each process drawn."""
    count = len(values)
    rounds = np.array([len(process) for process in values])
    longest = int(rounds.max())
    table = np.full((count, longest), np.inf)
    for row, process in zip(table, values, strict=True):
        row[: len(process)] = process
    drawn = rng.integers(0, count, size=(resamples, count))
    sizes = rounds[drawn]
    places = (rng.random((resamples, count, longest)) * sizes[..., None]).astype(np.intp)
    sample = table[drawn[..., None], places]
    # Processes differ in length: what lies past a process's end sorts behind everything.
    sample[np.arange(longest) >= sizes[..., None]] = np.inf
    sample = np.sort(sample.reshape(resamples, -1), axis=1)
    total = sizes.sum(axis=1)
    rows = np.arange(resamples)
    middle: Array = (sample[rows, (total - 1) // 2] + sample[rows, total // 2]) / 2
    return middle


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
