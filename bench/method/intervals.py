"""Ways to make a 95 % interval of the rounds of several processes, for many runs at once.

Each takes ratios by run, process and round, and says for every run what the
stopping rule asks for: an ``Evidence`` with its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from bench.method.resampling import percentiles
from bench.stats import LEVEL, MAD_TO_SD, Array, Evidence, Interval

_TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class Bounded(Evidence):
    """Evidence whose interval is not Student's but was found otherwise, at the usual level."""

    bounds: Interval

    def interval(self, level: float = LEVEL) -> Interval:
        if level != LEVEL:
            raise ValueError(f"level must be {LEVEL}, got {level!r}")
        return self.bounds


@dataclass(frozen=True)
class Candidate:
    """A way to make intervals: its name, and what it says of each run."""

    name: str
    say: Callable[[Array], list[Evidence]]


def bootstrap(ratios: Array) -> list[Evidence]:
    """Percentiles of the pooled median, resampled by process, then by round (`resampling`)."""
    return _bootstrapped(ratios, 1.0)


def expanded_bootstrap(ratios: Array) -> list[Evidence]:
    """The same, stretched about its estimate as far as few processes fall short.

    By sqrt(k / (k - 1)), since a resample's spread has the variance of a
    population, not of a sample, and by t / z (Hesterberg, The American
    Statistician 69, 2015).
    """
    processes = ratios.shape[1]
    t = float(stdtrit(processes - 1, 1 - _TAIL))
    return _bootstrapped(
        ratios, math.sqrt(processes / (processes - 1)) * t / float(ndtri(1 - _TAIL))
    )


def student(ratios: Array) -> list[Evidence]:
    """What the suite uses: `bench.stats.evidence` of each run, with the medians taken at once.

    A test holds the two equal; taken one by one they are most of a simulation's time.
    """
    processes = ratios.shape[1]
    medians = np.median(ratios, axis=2)
    errors = medians.std(axis=1, ddof=1) / math.sqrt(processes)
    return _evidence(medians.mean(axis=1), errors, processes)


def random_effects(ratios: Array) -> list[Evidence]:
    """Medians weighted by what is known of each, with Hartung and Knapp's error.

    The variance between processes is DerSimonian and Laird's (Controlled
    Clinical Trials 7, 1986), that within by each process's own scatter; the
    error Hartung and Knapp's (Statistics in Medicine 20, 2001).
    """
    processes, rounds = ratios.shape[1:]
    medians = np.median(ratios, axis=2)
    scatter = MAD_TO_SD * np.median(np.abs(ratios - medians[..., None]), axis=2)
    within = math.pi / 2 * scatter**2 / rounds  # of a normal distribution's median
    weights = 1 / within
    excess = _variation(medians, weights) - (processes - 1)
    total = weights.sum(axis=1)
    between = np.maximum(0.0, excess / (total - (weights**2).sum(axis=1) / total))
    weights = 1 / (within + between[:, None])
    errors = np.sqrt(_variation(medians, weights) / ((processes - 1) * weights.sum(axis=1)))
    return _evidence(_mean(medians, weights), errors, processes)


CANDIDATES = (
    Candidate("plain bootstrap", bootstrap),
    Candidate("expanded bootstrap", expanded_bootstrap),
    Candidate("Student", student),
    Candidate("random effects", random_effects),
)
IN_USE = CANDIDATES[2]


def _bootstrapped(ratios: Array, stretch: float) -> list[Evidence]:
    middle = np.median(ratios.reshape(len(ratios), -1), axis=1)
    low, high = (
        middle + stretch * (end - middle) for end in percentiles(ratios, (_TAIL, 1 - _TAIL))
    )
    return [
        Bounded(estimate, math.nan, ratios.shape[1], Interval(estimate, lower, upper))
        for estimate, lower, upper in zip(middle.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _evidence(estimates: Array, errors: Array, processes: int) -> list[Evidence]:
    return [
        Evidence(estimate, error, processes)
        for estimate, error in zip(estimates.tolist(), errors.tolist(), strict=True)
    ]


def _mean(values: Array, weights: Array) -> Array:
    return np.asarray((weights * values).sum(axis=1) / weights.sum(axis=1))


def _variation(values: Array, weights: Array) -> Array:
    """The weighted sum of squares about the weighted mean."""
    distance = values - _mean(values, weights)[:, None]
    return np.asarray((weights * distance**2).sum(axis=1))
