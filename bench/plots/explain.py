"""What explains the cost: what each variant adds to the trunk, beside what it costs.

Variants stand in the order of their measured overhead. A panel whose dots rise
with it explains it; the rank correlation (Spearman's) says how well.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots import claims, parts, style
from bench.plots import rows as of

COSTS = {  # what is counted, and what the picture calls it
    "flops": "arithmetic",
    "ideal_bytes": "bytes moved",
    "operators": "operators launched",
}

_TELLING = 0.5  # a rank correlation from which a count is said to go with the cost
_FEWEST_RANKED = 3  # variants below which a rank correlation says nothing
_BELOW_ONE = 1 - 1e-9  # whose z is finite


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per variant, the cheapest first and those without a measurement last."""
    shown = of.variants(rows)
    overhead = of.number(shown, "overhead_pct")
    if overhead.isna().all():
        return pd.DataFrame()
    explained = pd.DataFrame(
        {
            "se": shown["se"].astype(str),
            "placement": shown["placement"].astype(str),
            **{f"{cost}_pct": of.over_trunk_pct(rows, cost) for cost in COSTS},
            **of.overheads(shown),
            "gap": of.gap(shown, overhead),
        }
    )
    return explained.sort_values("overhead_pct", kind="stable").reset_index(drop=True)


def rank_correlation(data: pd.DataFrame, cost: str) -> float:
    """Spearman's, between what a variant adds and what it costs; NaN where it says nothing."""
    pairs = data[[f"{cost}_pct", "overhead_pct"]].dropna()
    if len(pairs) < _FEWEST_RANKED or (pairs.nunique() == 1).any():
        return float("nan")
    return float(np.corrcoef(pairs.rank().to_numpy(dtype=float), rowvar=False)[0, 1])


def rank_interval(correlation: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation of so many pairs.

    By Fisher's z, whose variance for ranks is 1.06 / (n - 3) (Fieller, Hartley
    and Pearson, Biometrika 44, 1957); three pairs or fewer allow anything.
    """
    if count <= _FEWEST_RANKED:
        return -1.0, 1.0
    z = np.arctanh(np.clip(correlation, -_BELOW_ONE, _BELOW_ONE))
    half = 1.96 * np.sqrt(1.06 / (count - 3))
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def title(data: pd.DataFrame) -> str:
    """The counts that go with the cost, if the costs differ and a rank correlation is firm.

    A count whose correlation lies within the interval of the best explains as much.
    """
    known = {
        cost: round(value, 2) for cost, value in _correlations(data).items() if not pd.isna(value)
    }
    if not known:
        return "What SE adds to the trunk, and what it costs"
    if claims.extremes(data) is None:
        return "The intervals are too wide to say what explains the cost"
    most = max(known.values())
    best = ", ".join(COSTS[cost] for cost, value in known.items() if value == most)
    shown = style.decimal(most, 2)
    low, high = rank_interval(most, len(claims.judged(data)))
    if most < _TELLING or low <= 0:
        return f"No count clearly ranks the variants as the clock does (best: {best}, {shown})"
    alike = [cost for cost, value in known.items() if value >= low]
    if len(alike) == 1:
        span = f"{style.decimal(low, 2)}, {style.decimal(high, 2)}"
        return f"The cost goes with {best} (rank correlation {shown} [{span}])"
    *others, last = (COSTS[cost] for cost in alike)
    return f"The cost goes with {', '.join(others)} and {last} alike"  # panels tell how well


def _correlations(data: pd.DataFrame) -> dict[str, float]:
    """By what is counted, over the variants of which something can be claimed."""
    known = claims.judged(data)
    return {cost: rank_correlation(known, cost) for cost in COSTS}


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    correlations = _correlations(data)
    counted = [cost for cost in COSTS if data[f"{cost}_pct"].notna().any()]
    widths = (*(1.0 for _ in counted), 1.4)
    width = 9.5 - 1.9 * (len(COSTS) - len(counted))
    figure = style.figure(title(data), subtitle, width=width, height=1 + 0.19 * len(data))
    grid = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)
    panels = list(grid[0])
    parts.row_axis(panels, list(data["se"]))
    colours = [style.mark(placement).colour for placement in data["placement"]]
    for axes, cost in zip(panels, counted, strict=False):
        axes.barh(range(len(data)), data[f"{cost}_pct"], height=0.65, color=colours)
        axes.axvline(0, color=style.MUTED, linewidth=0.8)
        axes.set_title(_head(COSTS[cost], correlations[cost]), loc="left", size=9)
    _draw_overhead(panels[-1], data)
    for axes in panels:
        axes.set_xlabel("over the trunk (%)")
    return figure


def _draw_overhead(axes: Axes, data: pd.DataFrame) -> None:
    placed = data.assign(place=range(len(data)), slot=1.0)
    ends = ("overhead_low_pct", "overhead_high_pct")
    parts.points(axes, placed, "overhead_pct", "place", ends, along="x")
    parts.row_gaps(axes, data["gap"])
    note = parts.interval_note(data)
    if parts.noise_floor(axes, placed, "place", "slot", along="x"):
        note += "; grey: noise"
    axes.set_title(f"time, measured\n{note}", loc="left", size=9)


def _head(name: str, correlation: float) -> str:
    note = "" if pd.isna(correlation) else f"rank correlation {style.decimal(correlation, 2)}"
    return f"{name}\n{note}"
