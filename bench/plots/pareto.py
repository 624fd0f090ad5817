"""Size against speed: which variants no other beats in both parameters and latency.

The trunk beats them all and is drawn for reference only. Variants with SE in
some blocks only beat most of the others, so those with SE in every block have
a front of their own besides. A front is of estimates; the title counts only
what the intervals carry, and what is beaten even so is drawn faint.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from bench.plots import dodge, labels, parts, style
from bench.plots import rows as of
from bench.plots.dominance import beaten, front

_MARGIN = 1.6  # a factor on either side; its square spans a tick wherever it falls
_STEP = 0.07  # between points side by side: a marker's width, as a natural logarithm
_FAINT = 0.25  # the opacity of what is beaten, and of intervals that nothing speaks of


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """The trunk, then a row per variant: parameters, latency, and on which front it is."""
    shown = pd.concat([of.trunk(rows), of.variants(rows)])
    is_variant = shown["placement"] != "none"
    time = 1e3 * of.number(shown, "latency_s")
    added = of.number(shown, "se_params") / 1e6
    usable = is_variant & time.notna() & (added > 0)
    if not usable.any():
        return pd.DataFrame()
    leading = usable & of.number(shown, "overhead_low_pct").notna()
    return pd.DataFrame(
        {
            "se": shown["se"].astype(str),
            "placement": shown["placement"].astype(str),
            "params_m": of.number(shown, "params") / 1e6,
            "se_params_m": added,
            "latency_ms": time,
            "low_ms": 1e3 * of.number(shown, "latency_low_s"),
            "high_ms": 1e3 * of.number(shown, "latency_high_s"),
            "on_front": front(added.where(leading), time),
            "on_front_everywhere": front(added.where(leading & of.everywhere(shown)), time),
            "beaten": beaten(shown, added.where(usable)),
            "gap": of.gap(shown, time.where(usable | ~is_variant)),
        }
    ).reset_index(drop=True)


def title(data: pd.DataFrame) -> str:
    """From how many a chooser may choose: all that none as small surely beats."""
    points = _shown(data)
    known = points[points["low_ms"].notna()]
    lost = int(known["beaten"].sum())
    if len(known) < 2:
        return "What SE adds to the trunk, in size and in time"
    if lost == 0:
        return "No variant beats another in both size and time beyond noise"
    if lost == len(points) - 1:
        (best,) = known.loc[~known["beaten"], "se"]
        return f"{best} beats all others in both size and time"
    return f"Choose from {len(known) - lost} of {len(known)}: the rest lose in both size and time"


def _shown(data: pd.DataFrame) -> pd.DataFrame:
    return data[(data["placement"] != "none") & (data["gap"] == "")]


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    points, trunk = _shown(data), data[data["placement"] == "none"]
    notes = "".join(f"\n{note}" for note in _notes(data))
    figure = style.figure(title(data), subtitle + notes, width=8, height=5)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    limits = points["se_params_m"].min() / _MARGIN, points["se_params_m"].max() * _MARGIN
    axes.set_xlim(*limits)
    span = float(np.log(limits[1] / limits[0]))
    places = dodge.dodged(points["se_params_m"], points["placement"], step=_STEP, span=span)
    points = points.assign(place=places)
    _draw_points(axes, points)
    _draw_trunk(axes, trunk)
    _name_axes(axes, trunk)
    best, best_everywhere = (
        points[points[column]].sort_values("place")
        for column in ("on_front", "on_front_everywhere")
    )
    lines = [_draw_front(axes, best, "Pareto front", "solid")] if len(best) else []
    if len(best_everywhere) and not best.equals(best_everywhere):
        lines.append(_draw_front(axes, best_everywhere, "with SE everywhere", "dashed"))
    axes.legend(
        handles=[*_legend(points), *axes.get_legend_handles_labels()[0]],
        loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0,
    )  # fmt: skip
    figure.draw_without_rendering()  # from here on the layout stands, and with it every pixel
    _name_points(axes, points, [box for line in lines for box in labels.stairs(axes, line)])
    return figure


def _notes(data: pd.DataFrame) -> list[str]:
    """What the subtitle must say of points that are missing, or look unlike the others."""
    notes = []
    failed = data[(data["placement"] != "none") & (data["gap"] != "")]
    if len(failed):
        names = (f"{row['se']} ({row['gap']})" for _, row in failed.iterrows())
        notes.append("Not shown: " + ", ".join(names))
    if data["beaten"].any():
        notes.append("Faint points lose: another as small is faster beyond intervals and noise")
    if _shown(data)["low_ms"].isna().any():
        notes.append("Hollow points have no interval")
    return notes


def _draw_points(axes: Axes, points: pd.DataFrame) -> None:
    """All marks, but in full only the intervals of those that are named."""
    named = _is_named(points)
    ends = ("low_ms", "high_ms")
    for chosen, opacity, marks in (
        (named, 0.9, 1.0),
        (~named & ~points["beaten"], _FAINT, 1.0),
        (~named & points["beaten"], 0.0, _FAINT),
    ):
        parts.points(
            axes, points[chosen], "latency_ms", "place", ends,
            along="y", bar_opacity=opacity, mark_opacity=marks,
        )  # fmt: skip


def _is_named(points: pd.DataFrame) -> pd.Series:
    return points["on_front"] | points["on_front_everywhere"]


def _legend(points: pd.DataFrame) -> list[Line2D]:
    """A mark for each placement that is shown, filled whatever its points look like."""
    names = sorted(points["placement"].unique(), key=of.placement_order)
    looks = [(name, style.mark(name)) for name in names]
    return [
        Line2D([], [], linestyle="", marker=look.marker, color=look.colour,
               markersize=look.size, markeredgecolor="white", markeredgewidth=0.5, label=name)
        for name, look in looks
    ]  # fmt: skip


def _name_points(axes: Axes, points: pd.DataFrame, taken: list[Bbox]) -> None:
    """Name those on a front where that hides neither the fronts, nor a point, nor a full bar."""
    named = points[_is_named(points)].sort_values("place")
    marks = zip(points["place"], points["latency_ms"], points["latency_ms"], strict=True)
    bars = zip(named["place"], named["low_ms"], named["high_ms"], strict=True)
    boxes = [*taken, *(labels.bar(axes, *ends) for ends in (*marks, *bars))]
    names = zip(named["place"], named["latency_ms"], named["se"], strict=True)
    labels.place(axes, [labels.Label(x, y, text) for x, y, text in names], boxes)


def _draw_trunk(axes: Axes, trunk: pd.DataFrame) -> None:
    for time in trunk["latency_ms"].dropna():
        axes.axhline(
            time, color=style.MUTED, linewidth=1, linestyle="dotted", label=f"trunk, {time:.1f} ms"
        )


def _name_axes(axes: Axes, trunk: pd.DataFrame) -> None:
    base = "".join(f" {millions:.2f} M" for millions in trunk["params_m"].dropna())
    axes.set_xlabel(
        f"parameters added to the trunk's{base} (M, log scale; equal sizes side by side)"
    )
    axes.set_ylabel("latency (ms), 95 % interval")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid()


def _draw_front(axes: Axes, best: pd.DataFrame, name: str, dash: str) -> Line2D:
    """The border of what is dominated: from the top, down to each point, and off to the right."""
    x, y = list(best["place"]), list(best["latency_ms"])
    edges = axes.get_xlim()[1], axes.get_ylim()[1]
    (line,) = axes.plot(
        [x[0], *x, edges[0]], [edges[1], *y, y[-1]], drawstyle="steps-post",
        color=style.INK, linestyle=dash, linewidth=1, zorder=0.9, label=name,
        scalex=False, scaley=False,
    )  # fmt: skip
    return line
