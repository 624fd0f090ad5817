"""Cells of a matrix, each an overhead with its half-width, coloured by what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from bench.plots import style

_COLOURS = "viridis_r"  # the dear is dark, on paper as on a screen
_DARK = 0.21  # the luminance below which white stands out more than INK (WCAG 2.1)


def shading(overhead_pct: pd.Series) -> Normalize:
    """From an overhead to its place on the scale of colours, which 0 is always on."""
    return Normalize(min(0.0, overhead_pct.min()), max(overhead_pct.max(), 1e-9))


def matrix(axes: Axes, rows: int, columns: int) -> None:
    """Set the axes up for so many cells, the first row on top."""
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def cell(axes: Axes, at: tuple[int, int], row: pd.Series, shade: Normalize) -> None:
    """The overhead of a row, or why there is none.

    Args:
        axes: what is drawn on.
        at: column and row of the cell.
        row: with the columns of `bench.plots.rows.overheads`, and ``gap``.
        shade: from the overhead to a colour.
    """
    corner = (at[0] - 0.5, at[1] - 0.5)
    if row["gap"]:
        axes.add_patch(
            Rectangle(corner, 1, 1, facecolor="white", edgecolor=style.FAINT, hatch="////")
        )
        axes.text(
            *at, row["gap"], ha="center", va="center", color=style.MUTED, size=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
        return
    colour = colormaps[_COLOURS](shade(row["overhead_pct"]))
    half = (row["overhead_high_pct"] - row["overhead_low_pct"]) / 2
    number = style.decimal(row["overhead_pct"], 1)
    if pd.isna(half):  # hollow: nothing is claimed of it
        inset = Rectangle((at[0] - 0.45, at[1] - 0.42), 0.9, 0.84, facecolor="white")
        inset.set(edgecolor=colour, linewidth=2)
        axes.add_patch(inset)
        write(axes, at, number, "no interval", style.INK)
        return
    ink = "white" if _luminance(colour) < _DARK else style.INK
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    write(axes, at, number, f"± {half:.1f}", ink)


def write(axes: Axes, at: tuple[int, int], number: str, note: str, ink: str) -> None:
    """A number, and a note below it."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    axes.text(at[0], at[1] - 0.12, number, size=11, **look)
    axes.text(at[0], at[1] + 0.24, note, size=8, **look)


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG 2.1; 2.2 for sRGB's exponent)."""
    return float(np.dot(np.power(colour[:3], 2.2), (0.2126, 0.7152, 0.0722)))
