"""Made-up process effects: what shifts all rounds of a process alike.

Their standard deviation, over runs and processes, is 1, so that kinds differ
in how the processes of a run hang together and in nothing else. A block is
visited once in a pass over all blocks, in random order: its processes are a
minute or so apart, and what lasts so long is no chance of a process alone.
"""

from __future__ import annotations

import math

import numpy as np

from bench.stats import Array

# The correlation of one process with the next: what disturbs the machine has faded to a half
# after a minute. The few processes of a run cannot tell what it really is.
MEMORY = 0.5
# What a run's line changes by from end to end, in standard deviations of a process effect. In
# a long run it is a third of their variance then, and the rest is chance.
SWING = 2.0

Series = tuple[int, int]  # runs, processes in their order


def independent(rng: np.random.Generator, shape: Series) -> Array:
    """What a process is started with: where its memory lies, on which cores its threads run."""
    return rng.standard_normal(shape)


def remembered(rng: np.random.Generator, shape: Series) -> Array:
    """AR(1): a neighbour's work outlasts the process that it disturbed first."""
    values = rng.standard_normal(shape)
    fresh = math.sqrt(1 - MEMORY**2)
    for process in range(1, shape[1]):
        values[:, process] = MEMORY * values[:, process - 1] + fresh * values[:, process]
    return values


def drifting(rng: np.random.Generator, shape: Series) -> Array:
    """A straight line through each run, of random slope, and independent effects about it.

    It crosses 0 in the middle of the time that the run may take. What a drift
    adds to a run as a whole is not in it: no run can tell that by itself.
    """
    runs, processes = shape
    line = SWING * np.linspace(-0.5, 0.5, processes)
    rest = math.sqrt(1 - float(np.mean(line**2)))
    slopes, own = rng.standard_normal((runs, 1)), rng.standard_normal(shape)
    return np.asarray(slopes * line + rest * own)
