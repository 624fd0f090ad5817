"""Placement against ratio: the overhead, written into each cell with its half-width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.plots import claims, style
from bench.plots import rows as of

NOT_RUN = "not run"

_CELLS = "Cells: overhead over the trunk (%), ± half its 95 % interval"

_COLOURS = "viridis_r"  # the dear is dark, on paper as on a screen
_DARK = 0.21  # the luminance below which white stands out more than INK (WCAG 2.1)


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per cell of placement x ratio, also for the cells that nothing filled."""
    shown = of.variants(rows)
    shown = shown[of.in_grid(shown)]
    overhead = of.number(shown, "overhead_pct")
    if overhead.isna().all():
        return pd.DataFrame()
    cells = pd.DataFrame(
        {
            "placement": shown["placement"].astype(str),
            "reduction": of.number(shown, "reduction"),
            **of.overheads(shown),
            "gap": of.gap(shown, overhead),
        }
    ).set_index(["placement", "reduction"])
    every_cell = pd.MultiIndex.from_product(
        [
            cells.index.get_level_values("placement").unique(),
            sorted(cells.index.get_level_values("reduction").unique()),
        ],
        names=cells.index.names,
    )
    cells = cells.reindex(every_cell)
    return cells.assign(gap=cells["gap"].fillna(NOT_RUN)).reset_index()


def title(data: pd.DataFrame) -> str:
    """By how much placement and ratio move the cost, where intervals and noise let them."""
    if min(claims.judged(data)[["placement", "reduction"]].nunique()) < 2:
        return "What SE costs, by placement and reduction ratio"
    placement, ratio = _spread(data, "placement"), _spread(data, "reduction")
    if placement is None and ratio is None:
        return "Neither placement nor ratio measurably moves the cost"
    if placement is None:
        return f"The ratio moves the cost by {ratio:.1f} points, placement not measurably"
    if ratio is None:
        return f"Placement moves the cost by {placement:.1f} points, the ratio not measurably"
    return f"Placement moves the cost by {placement:.1f} points, ratio by {ratio:.1f}"


def _spread(data: pd.DataFrame, side: str) -> float | None:
    """Between the dearest and the cheapest of a side, or None if they cannot be told apart.

    A placement stands for its cells with the median of their overheads, and
    with the medians of their intervals' ends: typical ones, not narrowed by
    how many there are, since cells of one block share its disturbance.
    """
    typical = claims.judged(data).groupby(side, as_index=False)[list(of.OVERHEADS)].median()
    found = claims.extremes(typical)
    if found is None:
        return None
    return float(found.most["overhead_pct"] - found.least["overhead_pct"])


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    placements = list(data["placement"].unique())
    ratios = list(data["reduction"].unique())
    figure = style.figure(
        title(data), f"{subtitle}\n{_CELLS}",
        width=max(5.5, 1.4 + len(ratios)), height=0.8 + 0.55 * len(placements),
    )  # fmt: skip
    axes = figure.add_subplot()
    overhead = data["overhead_pct"]
    shade = Normalize(min(0.0, overhead.min()), max(overhead.max(), 1e-9))
    for _, cell in data.iterrows():
        at = (ratios.index(cell["reduction"]), placements.index(cell["placement"]))
        _draw_cell(axes, at, cell, shade)
    axes.set_xlim(-0.5, len(ratios) - 0.5)
    axes.set_ylim(len(placements) - 0.5, -0.5)
    axes.set_xticks(range(len(ratios)), [f"{ratio:.0f}" for ratio in ratios])
    axes.set_yticks(range(len(placements)), placements)
    axes.set_xlabel("reduction ratio r")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _draw_cell(axes: Axes, at: tuple[int, int], cell: pd.Series, shade: Normalize) -> None:
    corner = (at[0] - 0.5, at[1] - 0.5)
    if cell["gap"]:
        axes.add_patch(
            Rectangle(corner, 1, 1, facecolor="white", edgecolor=style.FAINT, hatch="////")
        )
        axes.text(
            *at, cell["gap"], ha="center", va="center", color=style.MUTED, size=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
        return
    colour = colormaps[_COLOURS](shade(cell["overhead_pct"]))
    half = (cell["overhead_high_pct"] - cell["overhead_low_pct"]) / 2
    if pd.isna(half):  # hollow: nothing is claimed of it
        inset = Rectangle((at[0] - 0.45, at[1] - 0.42), 0.9, 0.84, facecolor="white")
        inset.set(edgecolor=colour, linewidth=2)
        axes.add_patch(inset)
        _write(axes, at, cell["overhead_pct"], "no interval", style.INK)
        return
    ink = "white" if _luminance(colour) < _DARK else style.INK
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    _write(axes, at, cell["overhead_pct"], f"± {half:.1f}", ink)


def _write(axes: Axes, at: tuple[int, int], overhead_pct: float, note: str, ink: str) -> None:
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    axes.text(at[0], at[1] - 0.12, style.decimal(overhead_pct, 1), size=11, **look)
    axes.text(at[0], at[1] + 0.24, note, size=8, **look)


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG 2.1; 2.2 for sRGB's exponent)."""
    return float(np.dot(np.power(colour[:3], 2.2), (0.2126, 0.7152, 0.0722)))
