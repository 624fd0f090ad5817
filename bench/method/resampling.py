"""The hierarchical bootstrap of a pooled median, without drawing a single resample.

A resample draws k of the k processes, then as many rounds from each as it has,
both with replacement. Its median is at most x if at least half of its values
are, and the number that are is the sum of k independent draws from one
distribution: an even mixture, over the processes, of binomials whose chance is
the process's share of values up to x. So the bootstrap's distribution is known
exactly, by its characteristic function, as if from endless resamples; and
thousands of simulated runs are done at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from bench.stats import Array

Complex = NDArray[np.complex64]


def percentiles(ratios: Array, shares: tuple[float, ...]) -> list[Array]:
    """Percentiles of the bootstrap distribution of each run's pooled median.

    Args:
        ratios: runs, processes, rounds.
        shares: which, between 0 and 1.

    Returns:
        One array for each share, with a value per run: the least of the run's
        ratios which the resampled median exceeds with at most ``1 - share``.
    """
    runs, processes, rounds = ratios.shape
    pooled = np.sort(ratios.reshape(runs, -1), axis=1)
    every = np.arange(runs)
    found = []
    for share in shares:
        # The distribution rises along the sorted values, so bisect.
        low, high = np.zeros(runs, dtype=int), np.full(runs, processes * rounds - 1)
        while (low < high).any():
            middle = (low + high) // 2
            below = (ratios <= pooled[every, middle, None, None]).sum(axis=2)
            reached = median_at_most(below, rounds) >= share
            high = np.where(reached, middle, high)
            low = np.where(reached, low, np.minimum(middle + 1, high))
        found.append(pooled[every, low])
    return found


def median_at_most(below: NDArray[np.int_], rounds: int) -> Array:
    """How likely the median of a resample is at most x.

    A resample with half of its values below x, and half above, counts half.

    Args:
        below: per run and process, how many of its rounds are at most x.
        rounds: of each process.
    """
    runs, processes = below.shape
    lattice = _lattice(processes, rounds)
    rows = np.arange(runs)[:, None] * (rounds + 1)
    counts = np.bincount((below + rows).ravel(), minlength=runs * (rounds + 1))
    mixture = (counts.reshape(runs, -1) / processes).astype(np.float32)
    one = (mixture @ lattice.binomials).view(np.complex64)
    return np.asarray((_power(one, processes) @ lattice.weights).real, dtype=np.float64)


def _power(base: Complex, exponent: int) -> Complex:
    """By repeated squaring: numpy takes a logarithm for each complex number."""
    result = np.ones_like(base)
    while exponent:
        if exponent % 2:
            result = result * base
        base, exponent = base * base, exponent // 2
    return result


@dataclass(frozen=True)
class _Lattice:
    """What turns binomials into the chance that their sum is half of all, or more.

    ``binomials`` holds a row of characteristic function per count, real and
    imaginary parts side by side; ``weights`` the sum over the upper half.
    """

    binomials: NDArray[np.float32]
    weights: Complex


@lru_cache(maxsize=64)
def _lattice(processes: int, rounds: int) -> _Lattice:
    total = processes * rounds
    length = total + 1 + total % 2  # odd, so that every frequency but 0 has a mirror
    angles = 2j * np.pi * np.arange(length // 2 + 1) / length
    chances = np.arange(rounds + 1)[:, None] / rounds
    hits = np.arange(rounds + 1)
    binomials = comb(rounds, hits) * chances**hits * (1 - chances) ** (rounds - hits)
    characteristic = (binomials @ np.exp(-np.outer(hits, angles))).astype(np.complex64)
    sums = np.arange(total + 1)
    upper = np.where(2 * sums > total, 1.0, np.where(2 * sums == total, 0.5, 0.0))
    weights = upper @ np.exp(np.outer(sums, angles)) / length
    weights[1:] *= 2
    return _Lattice(characteristic.view(np.float32), weights.astype(np.complex64))
