"""Which points no other beats in two costs at once, by their estimates and by their intervals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.plots import claims
from bench.plots import rows as of


def front(size: pd.Series, time: pd.Series) -> npt.NDArray[np.bool_]:
    """Which points no other dominates: none is as good in both and better in one; NaN never is."""
    sizes, times = size.to_numpy(dtype=float), time.to_numpy(dtype=float)
    no_worse = (sizes[:, None] <= sizes) & (times[:, None] <= times)
    better = (sizes[:, None] < sizes) | (times[:, None] < times)
    dominated = (no_worse & better).any(axis=0)
    return np.asarray(~dominated & ~np.isnan(sizes) & ~np.isnan(times))


def beaten(rows: pd.DataFrame, size: pd.Series) -> npt.NDArray[np.bool_]:
    """Which variants surely lose: slower than another as small, and not by noise alone.

    Slower means that both intervals are apart, and the slower is beyond its
    block's noise besides.

    Args:
        rows: rows of the table.
        size: of each; one whose size is missing neither beats nor is beaten.
    """
    sizes = size.to_numpy(dtype=float)
    high, low = (of.number(rows, f"overhead_{end}_pct").to_numpy() for end in ("high", "low"))
    loses = ((sizes[:, None] <= sizes) & (high[:, None] < low)).any(axis=0)
    return np.asarray(loses & claims.slower(rows).to_numpy())
