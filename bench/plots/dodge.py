"""Points that share a place on a log axis, moved apart just so far that each can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression

from bench.plots import rows as of

_CROWDED = 0.5  # the part of the axis that points may take which stand side by side


def dodged(
    places: pd.Series, placements: pd.Series, *, step: float, span: float
) -> npt.NDArray[np.float64]:
    """Positive places at least ``step`` apart, as near to where they were as that allows.

    The distances to the true places are the least in squares, on the log
    scale: a point that stands alone stays. Points of one place come in the
    order of their placements, so that a placement is found on the same side.

    Args:
        places: where the points are; positive.
        placements: of the points, in the same order.
        step: the wanted distance, as a natural logarithm; less where so many
            points would fill the axis.
        span: the length of the axis, likewise.
    """
    logs = np.log(places.to_numpy(dtype=float))
    order = np.lexsort((np.array([of.placement_order(name) for name in placements]), logs))
    step = min(step, _CROWDED * span / len(places))
    shifts = step * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = isotonic_regression(logs[order] - shifts).x + shifts
    return np.exp(moved)
