"""Parts that several figures are drawn of: points with intervals, named rows, the noise floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.plots import style


def points(
    axes: Axes,
    data: pd.DataFrame,
    value: str,
    place: str,
    interval: tuple[str, str],
    *,
    along: Literal["x", "y"],
) -> None:
    """A placement's mark at each value, over its interval.

    Args:
        axes: what is drawn on.
        data: the rows; one whose value is missing draws nothing.
        value: the column measured along ``along``.
        place: the column measured along the other axis.
        interval: the columns of the interval's ends.
        along: the axis of the value.
    """
    for name, group in data.groupby("placement", sort=False):
        mark = style.mark(str(name))
        ends = group[interval[0]], group[interval[1]]
        bar = axes.hlines if along == "x" else axes.vlines
        bar(group[place], *ends, color=mark.colour, linewidth=1.6, alpha=0.7)
        x, y = (value, place) if along == "x" else (place, value)
        axes.plot(
            group[x], group[y], mark.marker, color=mark.colour, markersize=mark.size, zorder=3,
            markeredgecolor="white", markeredgewidth=0.5, label=str(name),
        )  # fmt: skip


def row_axis(panels: Sequence[Axes], names: Sequence[str]) -> None:
    """Name the rows of panels that share them, the first on top."""
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(True, axis="x")


def row_gaps(axes: Axes, gaps: pd.Series) -> None:
    """Say in each row that holds no value why it does not."""
    for place, reason in enumerate(gaps):
        if reason:
            axes.text(0, place, f" {reason}", va="center", color=style.MUTED, size=8)


def noise_floor(axes: Axes, data: pd.DataFrame, *, along: Literal["x", "y"]) -> bool:
    """The zero line, and around it what the control arm says is noise, where it says so."""
    line, span = (axes.axvline, axes.axvspan) if along == "x" else (axes.axhline, axes.axhspan)
    line(0, color=style.MUTED, linewidth=0.8)
    low, high = data["noise_low_pct"].iloc[0], data["noise_high_pct"].iloc[0]
    if pd.isna(low) or pd.isna(high):
        return False
    span(low, high, color=style.FAINT, alpha=0.6, linewidth=0, zorder=0.5)
    return True
