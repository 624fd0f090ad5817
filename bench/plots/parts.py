"""Parts that several figures are drawn of: points with intervals, named rows, the noise floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

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
    bar_opacity: float = 0.7,
    mark_opacity: float = 1.0,
) -> None:
    """A placement's mark at each value, over its interval; hollow where there is none.

    Args:
        axes: what is drawn on.
        data: the rows; one whose value is missing draws nothing.
        value: the column measured along ``along``.
        place: the column measured along the other axis.
        interval: the columns of the interval's ends.
        along: the axis of the value.
        bar_opacity: of the intervals, 0 to 1.
        mark_opacity: of the marks, likewise.
    """
    for name, group in data.groupby("placement", sort=False):
        mark = style.mark(str(name))
        has_interval = group[list(interval)].notna().all(axis=1)
        solid, hollow = group[has_interval], group[~has_interval]
        bar = axes.hlines if along == "x" else axes.vlines
        bar(
            solid[place], solid[interval[0]], solid[interval[1]],
            color=mark.colour, linewidth=1.6, alpha=bar_opacity,
        )  # fmt: skip
        x, y = (value, place) if along == "x" else (place, value)
        axes.plot(
            solid[x], solid[y], mark.marker, color=mark.colour, markersize=mark.size, zorder=3,
            markeredgecolor="white", markeredgewidth=0.5, alpha=mark_opacity,
        )  # fmt: skip
        axes.plot(
            hollow[x], hollow[y], mark.marker, color=mark.colour, markersize=mark.size, zorder=3,
            markerfacecolor="white", markeredgewidth=1.2, alpha=mark_opacity,
        )  # fmt: skip


def interval_note(data: pd.DataFrame) -> str:
    """What the bars on overheads are, and what points without one mean if there are any."""
    lacking = data["overhead_pct"].notna() & data["overhead_low_pct"].isna()
    return "95 % interval" + (" (hollow: none)" if lacking.any() else "")


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


def noise_floor(
    axes: Axes, data: pd.DataFrame, place: str, width: str, *, along: Literal["x", "y"]
) -> bool:
    """The zero line, and behind each row what its block's control arm says is noise.

    Args:
        axes: what is drawn on.
        data: the rows; one whose noise is unknown gets no floor.
        place: the column of where a row stands, across ``along``.
        width: the column of how much room it has there.
        along: the axis of the overhead.

    Returns:
        Whether any noise is known.
    """
    (axes.axvline if along == "x" else axes.axhline)(0, color=style.MUTED, linewidth=0.8)
    axes.use_sticky_edges = False  # so that the axes do not end where a floor does
    known = data.dropna(subset=["noise_low_pct", "noise_high_pct"])
    low = known["noise_low_pct"]
    height = known["noise_high_pct"] - low
    look: dict[str, Any] = {"color": style.FAINT, "alpha": 0.6, "linewidth": 0, "zorder": 0.5}
    if along == "x":
        axes.barh(known[place], height, known[width], left=low, **look)
    else:
        axes.bar(known[place], height, known[width], bottom=low, **look)
    return not known.empty
