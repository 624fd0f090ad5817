"""Made-up noise of paired ratios, of the kinds that machines have.

A ratio is ``truth * (1 + process effect) * (1 + noise)``. The noise of rounds has
the median 0 and the scatter of single pairs that the committed CPU run measured:
kinds differ in shape and memory, not in size. Beside the noise of its rounds, a
kind says how the effects of a run's processes hang together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from bench.method.effects import Series, drifting, independent, remembered
from bench.stats import MAD_TO_SD, Array

# Of single pairs, as `bench.stats.spread` measures it: what committed runs show, or more.
SCATTER = 0.06
TAIL_DEGREES = 2.5
# From the start of a process to its end, the standard deviation over processes.
SWING = 2 * SCATTER
CORRELATION = 0.5

Shape = tuple[int, int, int]  # runs, processes, rounds in their order


@dataclass(frozen=True)
class Noise:
    """A kind of noise: its name, and values in the shape asked for.

    ``draw`` is of rounds, ``effects`` of whole processes, in standard deviations.
    """

    name: str
    draw: Callable[[np.random.Generator, Shape], Array]
    effects: Callable[[np.random.Generator, Series], Array] = independent

    @property
    def is_independent(self) -> bool:
        """Whether no process has to do with another."""
        return self.effects is independent


def normal(rng: np.random.Generator, shape: Shape) -> Array:
    return SCATTER * rng.standard_normal(shape)


def heavy_tails(rng: np.random.Generator, shape: Shape) -> Array:
    """Student's t: now and then a round is interrupted."""
    scale = SCATTER / (MAD_TO_SD * float(stdtrit(TAIL_DEGREES, 0.75)))
    return scale * rng.standard_t(TAIL_DEGREES, shape)


def drift(rng: np.random.Generator, shape: Shape) -> Array:
    """A straight line through each process, of random slope, crossing 0 in its middle.

    What a drift adds to a process as a whole is a process effect.
    """
    runs, processes, rounds = shape
    swing = SWING * rng.standard_normal((runs, processes, 1))
    rest = math.sqrt(SCATTER**2 - SWING**2 / 12)  # a line's variance is a twelfth of its swing's
    line: Array = swing * np.linspace(-0.5, 0.5, rounds)
    return line + rest * rng.standard_normal(shape)


def two_modes(rng: np.random.Generator, shape: Shape) -> Array:
    """Two clusters, equally likely, with few values between them, where the median is."""
    centre = SCATTER / MAD_TO_SD
    return centre * rng.choice((-1.0, 1.0), shape) + centre / 3 * rng.standard_normal(shape)


def uneven_modes(rng: np.random.Generator, shape: Shape) -> Array:
    """Two clusters, the upper of a quarter of the rounds: skewed, unlike fair pairs."""
    width = 0.6650 * SCATTER  # of each cluster; its factor makes the scatter, the next the median
    upper = 3 * width * (rng.random(shape) < 0.25)
    return upper - 0.4261 * width + width * rng.standard_normal(shape)


def autocorrelated(rng: np.random.Generator, shape: Shape) -> Array:
    """AR(1): what happens on the machine lasts longer than a round."""
    values = SCATTER * rng.standard_normal(shape)
    fresh = math.sqrt(1 - CORRELATION**2)
    for round_ in range(1, shape[-1]):
        values[..., round_] = CORRELATION * values[..., round_ - 1] + fresh * values[..., round_]
    return values


NOISES = (
    Noise("normal", normal),
    Noise("heavy tails", heavy_tails),
    Noise("drift", drift),
    Noise("two modes", two_modes),
    Noise("uneven modes", uneven_modes),
    Noise("autocorrelation", autocorrelated),
    Noise("process memory", normal, remembered),
    Noise("run drift", normal, drifting),
)


def ratios(
    noise: Noise, process_effect: float, rng: np.random.Generator, shape: Shape, truth: float = 1.0
) -> Array:
    """Paired ratios of whole runs.

    Args:
        noise: of rounds and processes.
        process_effect: the standard deviation of what shifts a whole process, as a fraction.
        rng: where chance comes from.
        shape: of the result: runs, processes, rounds.
        truth: the ratio that intervals should cover.
    """
    shifts = process_effect * noise.effects(rng, shape[:2])[..., None]
    return truth * (1 + shifts) * (1 + noise.draw(rng, shape))
