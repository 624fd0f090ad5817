"""Placement against ratio: the overhead, written into each cell with its half-width."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.plots import cells, claims, style
from bench.plots import rows as of

NOT_RUN = "not run"

_CELLS = "Cells: overhead over the trunk (%), ± half its 95 % interval"


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per cell of placement x ratio, also for the cells that nothing filled."""
    shown = of.variants(rows)
    shown = shown[of.in_grid(shown)]
    overhead = of.number(shown, "overhead_pct")
    if overhead.isna().all():
        return pd.DataFrame()
    known = pd.DataFrame(
        {
            "placement": shown["placement"].astype(str),
            "reduction": of.number(shown, "reduction"),
            **of.overheads(shown),
            "gap": of.gap(shown, overhead),
        }
    ).set_index(["placement", "reduction"])
    every_cell = pd.MultiIndex.from_product(
        [
            known.index.get_level_values("placement").unique(),
            sorted(known.index.get_level_values("reduction").unique()),
        ],
        names=known.index.names,
    )
    known = known.reindex(every_cell)
    return known.assign(gap=known["gap"].fillna(NOT_RUN)).reset_index()


def title(data: pd.DataFrame) -> str:
    """By how much placement and ratio move the cost, where intervals and noise let them."""
    if min(claims.judged(data)[["placement", "reduction"]].nunique()) < 2:
        return "What SE costs, by placement and reduction ratio"
    placement, ratio = _spread(data, "placement"), _spread(data, "reduction")
    if placement is None and ratio is None:
        if claims.extremes(data) is not None:
            return "Single variants differ; neither placement nor ratio alone moves the cost"
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
    shade = cells.shading(data["overhead_pct"])
    for _, row in data.iterrows():
        at = (ratios.index(row["reduction"]), placements.index(row["placement"]))
        cells.cell(axes, at, row, shade)
    cells.matrix(axes, len(placements), len(ratios))
    axes.set_xticks(range(len(ratios)), [f"{ratio:.0f}" for ratio in ratios])
    axes.set_yticks(range(len(placements)), placements)
    axes.set_xlabel("reduction ratio r")
    return figure
