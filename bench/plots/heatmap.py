"""Placement against ratio: the overhead, written into each cell with its half-width."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.plots import rows as of
from bench.plots import style

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
    low = of.number(shown, "overhead_low_pct")
    high = of.number(shown, "overhead_high_pct")
    cells = pd.DataFrame(
        {
            "placement": shown["placement"].astype(str),
            "reduction": of.number(shown, "reduction"),
            "overhead_pct": overhead,
            "half_width_pct": (high - low) / 2,
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


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    placements = list(data["placement"].unique())
    ratios = list(data["reduction"].unique())
    figure = style.figure(
        _title(data), f"{subtitle}\n{_CELLS}",
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
    ink = "white" if _luminance(colour) < _DARK else style.INK
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    known = pd.notna(cell["half_width_pct"])
    y = at[1] - 0.12 if known else at[1]
    axes.text(
        at[0],
        y,
        style.decimal(cell["overhead_pct"], 1),
        ha="center",
        va="center",
        color=ink,
        size=11,
    )
    if known:
        axes.text(
            at[0], at[1] + 0.24, f"± {cell['half_width_pct']:.1f}",
            ha="center", va="center", color=ink, size=8,
        )  # fmt: skip


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG 2.1; 2.2 for sRGB's exponent)."""
    return float(np.dot(np.power(colour[:3], 2.2), (0.2126, 0.7152, 0.0722)))


def _title(data: pd.DataFrame) -> str:
    spreads = []
    for side in ("placement", "reduction"):
        typical = data.groupby(side)["overhead_pct"].median().dropna()
        if len(typical) < 2:
            return "What SE costs, by placement and reduction ratio"
        spreads.append(typical.max() - typical.min())
    if max(spreads) < data["half_width_pct"].median():
        return "Neither placement nor ratio moves the cost beyond the intervals"
    return f"Placement moves the cost by {spreads[0]:.1f} points, ratio by {spreads[1]:.1f}"
