"""Paired ratios and what can be said of them: pure functions on arrays.

The quantity is the ratio of an arm to the trunk within one round, where both
met the same machine. Rounds of one process resemble each other more than
rounds of different processes do (address layout and thread placement shift a
whole process, and what happens on the machine lasts longer than a round), so
each process speaks with one voice, the median of its ratios, and an interval
is Student's over these, as if processes were independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

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


@dataclass(frozen=True)
class Evidence:
    """What several processes say of a value: the mean of what each says, and its standard error.

    The medians of k processes are taken for k independent values about the
    truth. Then their spread holds everything that makes one process differ from
    another, and all that remains of the noise within, however heavy its tails or
    long its memory, and the mean is distributed about the truth as Student's t
    with k - 1 degrees of freedom. Where a process resembles the one before, the
    error is too small; what shifts all of them alike is not in it at all. How much
    that matters is simulated: docs/coverage.md. With a single process the error is
    infinite.
    """

    estimate: float
    error: float
    processes: int

    def interval(self, level: float = LEVEL) -> Interval:
        """The interval that covers the truth with probability ``level``."""
        if self.processes < 2:
            return Interval(self.estimate, -math.inf, math.inf)
        reach = self._t((1 + level) / 2) * self.error
        return Interval(self.estimate, self.estimate - reach, self.estimate + reach)

    def p_above(self, value: float) -> float:
        """How likely so high an estimate is, if the truth is ``value`` or below it."""
        return self._tail(self.estimate - value)

    def p_below(self, value: float) -> float:
        """How likely so low an estimate is, if the truth is ``value`` or above it."""
        return self._tail(value - self.estimate)

    def detectable(self, alpha: float, power: float) -> float:
        """The distance from a value at which ``power`` of such estimates have a p below ``alpha``.

        By the noncentral t distribution: the error of each is an estimate too, which
        with few processes and a small ``alpha`` costs much power.
        """
        if self.processes < 2:
            return math.inf
        errors = nctdtrinc(self.processes - 1, 1 - power, self._t(1 - alpha))
        return float(errors) * self.error

    def _t(self, probability: float) -> float:
        return float(stdtrit(self.processes - 1, probability))

    def _tail(self, distance: float) -> float:
        if self.processes < 2:
            return 1.0
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stdtr(self.processes - 1, -distance / self.error))


def evidence(processes: Sequence[Array]) -> Evidence | None:
    """What the medians of processes say.

    Args:
        processes: one array of values per process, a value per round.

    Returns:
        None if there are no values.
    """
    medians = np.array([np.median(process) for process in processes if len(process)])
    count = len(medians)
    if not count:
        return None
    error = float(medians.std(ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return Evidence(float(medians.mean()), error, count)


def quotient(over: Evidence, under: Evidence) -> Evidence:
    """What processes that never met say of one value over another, their errors combined.

    Relative errors add in squares, which holds to first order: both must be
    small. The degrees of freedom are Welch's and Satterthwaite's (Welch,
    Biometrika 34, 1947), rounded down, which errs on the wide side; the
    ``processes`` of the result are one more than these, whatever was counted.
    If either comes of one process alone, the error is infinite.

    Args:
        over: of the numerator, above 0.
        under: of the denominator, above 0, by other rounds.
    """
    estimate = over.estimate / under.estimate
    if min(over.processes, under.processes) < 2:
        return Evidence(estimate, math.inf, 1)
    freedoms = (over.processes - 1, under.processes - 1)
    squares = [(each.error / each.estimate) ** 2 for each in (over, under)]
    spent = sum(square**2 / freedom for square, freedom in zip(squares, freedoms, strict=True))
    freedom = sum(squares) ** 2 / spent if spent else float(sum(freedoms))
    # Two equal errors have a whole number of degrees, which rounding must not undercut.
    processes = 1 + math.floor(freedom + 1e-9)
    return Evidence(estimate, estimate * math.sqrt(sum(squares)), processes)


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
