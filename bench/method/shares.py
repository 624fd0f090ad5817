"""So many of so many, and what share that may be of all.

The interval is exact: Clopper and Pearson, Biometrika 26, 1934.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.stats import LEVEL


@dataclass(frozen=True)
class Share:
    """``count`` of ``n``, with the ends of the share's 95 % interval."""

    count: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.n


def share(count: int, n: int) -> Share:
    """The share and its interval.

    Raises:
        ValueError: unless ``n`` is positive and ``count`` one of 0 to ``n``.
    """
    from scipy.stats import binomtest  # takes long to import

    if n < 1:
        raise ValueError(f"n must be positive, got {n}")
    if not 0 <= count <= n:
        raise ValueError(f"count must be one of 0 to {n}, got {count}")
    exact = binomtest(count, n).proportion_ci(LEVEL, method="exact")
    return Share(count, n, float(exact.low), float(exact.high))
