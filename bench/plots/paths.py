"""Path against placement: what SE costs there over the plain trunk by the same path.

A column ahead of them shows what the plain trunk itself takes by the path, over
what it takes in eager PyTorch in the same rounds: a path may make SE cheap, or
all else dear.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.path_matrix import EAGER, REDUCTION, TRUNK, path_order
from bench.plots import cells, claims, style
from bench.plots import rows as of

_VS_EAGER = ("vs_eager_pct", "vs_eager_low_pct", "vs_eager_high_pct")
_CELLS = (
    f"Cells: overhead over the plain trunk by the same path (%), ± half its 95 % interval\n"
    f"SE everywhere, at r = {REDUCTION}; left: the plain trunk's time over eager's"
)


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for every path and placement, a path's trunk first; empty with fewer than two paths.

    Args:
        rows: of one architecture and workload, by whatever paths.
    """
    is_trunk = rows["placement"] == "none"
    published = of.in_grid(rows) & (of.number(rows, "reduction") == REDUCTION)
    shown = rows[is_trunk | published]
    if shown["path"].nunique() < 2 or of.number(shown, "overhead_pct").isna().all():
        return pd.DataFrame()
    trunks = shown["placement"] == "none"
    known = of.number(shown, "overhead_pct").where(~trunks, of.number(shown, "vs_eager_pct"))
    known = known.where(~(trunks & (shown["path"] == EAGER)), 0.0)
    found = pd.DataFrame(
        {
            "path": shown["path"].astype(str),
            "placement": shown["placement"].astype(str),
            **of.overheads(shown),
            **{name: of.number(shown, name) for name in _VS_EAGER},
            "gap": of.gap(shown, known),
        }
    )
    order = pd.DataFrame(
        {
            "path": [path_order(name) for name in found["path"]],
            "variant": found["placement"] != "none",
            "placement": [of.placement_order(name) for name in found["placement"]],
        }
    )
    return found.loc[order.sort_values(list(order.columns)).index].reset_index(drop=True)


def title(data: pd.DataFrame) -> str:
    """By which path published SE costs least and most, where intervals are apart."""
    found = claims.extremes(data[data["placement"] == "standard"])
    if found is None:
        return "What SE costs, by path and placement"
    least, most = found.least, found.most
    return (
        f"SE as published costs {most['overhead_pct']:.1f} % by {most['path']}, "
        f"{least['overhead_pct']:.1f} % by {least['path']}"
    )


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    paths = list(data["path"].unique())
    placements = [name for name in data["placement"].unique() if name != "none"]
    placements.sort(key=of.placement_order)
    figure = style.figure(
        title(data), f"{subtitle}\n{_CELLS}",
        width=max(6.5, 2.4 + len(placements)), height=0.8 + 0.6 * len(paths),
    )  # fmt: skip
    axes = figure.add_subplot()
    variants = data[data["placement"] != "none"]
    shade = cells.shading(variants["overhead_pct"])
    for _, row in variants.iterrows():
        at = (1 + placements.index(row["placement"]), paths.index(row["path"]))
        cells.cell(axes, at, row, shade)
    for _, row in data[data["placement"] == "none"].iterrows():
        cells.write(axes, (0, paths.index(row["path"])), *_times(row), style.INK)
    cells.matrix(axes, len(paths), 1 + len(placements))
    axes.set_xticks(range(1 + len(placements)), [TRUNK, *placements])
    axes.set_yticks(range(len(paths)), paths)
    axes.axvline(0.5, color=style.MUTED, linewidth=0.8)
    return figure


def _times(row: pd.Series) -> tuple[str, str]:
    """The trunk's time over eager's, and the half-width of it."""
    if row["gap"]:
        return "–", row["gap"]
    if row["path"] == EAGER:
        return "1", "eager itself"
    half = (row["vs_eager_high_pct"] - row["vs_eager_low_pct"]) / 200
    ratio = f"{1 + row['vs_eager_pct'] / 100:.2f}"
    return ratio, "no interval" if pd.isna(half) else f"± {half:.2f}"
