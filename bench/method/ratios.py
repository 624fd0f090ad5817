"""What this suite makes of a process that measured in rounds."""

from __future__ import annotations

import numpy as np

from bench.breakdown import Signs, stolen_share
from bench.method.lines import Rounds
from bench.stats import Array, spread


def ratios(said: Rounds) -> Array:
    """The median ratio of each arm to the first, that arm's own included."""
    return np.asarray(np.median(_ratios(said), axis=0))


def trunk_s(said: Rounds) -> float:
    """The median of the first arm's times."""
    return 1e-9 * float(np.median([times[0] for times in said.wall_ns]))


def scatter(said: Rounds, arm: int) -> float | None:
    """By how much single ratios of an arm to the first scatter (robust sd)."""
    return spread(_ratios(said)[:, arm])


def signs(said: Rounds, threads: int) -> Signs:
    """What a process of so many threads tells of the machine; the second arm is its control."""
    return Signs(scatter(said, 1), trunk_s(said), stolen_share(said.steal_s, said.span_s, threads))


def inside(said: Rounds) -> float:
    """The share of the wall time, from the first round to the last, that forwards took."""
    return 1e-9 * float(np.sum(said.wall_ns)) / said.span_s


def _ratios(said: Rounds) -> Array:
    times = np.array(said.wall_ns, dtype=np.float64)
    return np.asarray(times / times[:, :1])
