"""Size against speed: which variants no other beats in both parameters and latency.

The trunk beats them all and is drawn for reference only. Variants with SE in
some blocks only beat most of the others, so those with SE in every block have
a front of their own besides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.plots import labels, parts, style
from bench.plots import rows as of

_MARGIN = 1.6  # a factor on either side; its square spans a tick wherever it falls


def front(size: npt.NDArray[np.float64], time: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which points no other dominates: none is as good in both and better in one; NaN never is."""
    no_worse = (size[:, None] <= size) & (time[:, None] <= time)
    better = (size[:, None] < size) | (time[:, None] < time)
    dominated = (no_worse & better).any(axis=0)
    return np.asarray(~dominated & ~np.isnan(size) & ~np.isnan(time))


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """The trunk, then a row per variant: parameters, latency, and on which front it is."""
    shown = pd.concat([of.trunk(rows), of.variants(rows)])
    is_variant = shown["placement"] != "none"
    time = 1e3 * of.number(shown, "latency_s")
    added = of.number(shown, "se_params") / 1e6
    usable = is_variant & time.notna() & (added > 0)
    if not usable.any():
        return pd.DataFrame()
    whole = usable & of.everywhere(shown)
    return pd.DataFrame(
        {
            "se": shown["se"].astype(str),
            "placement": shown["placement"].astype(str),
            "params_m": of.number(shown, "params") / 1e6,
            "se_params_m": added,
            "latency_ms": time,
            "low_ms": 1e3 * of.number(shown, "latency_low_s"),
            "high_ms": 1e3 * of.number(shown, "latency_high_s"),
            "on_front": _front_within(usable, added, time),
            "on_front_everywhere": _front_within(whole, added, time),
            "gap": of.gap(shown, time.where(usable | ~is_variant)),
        }
    ).reset_index(drop=True)


def _front_within(chosen: pd.Series, size: pd.Series, time: pd.Series) -> npt.NDArray[np.bool_]:
    return front(size.where(chosen).to_numpy(dtype=float), time.to_numpy(dtype=float))


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    is_trunk = data["placement"] == "none"
    points = data[~is_trunk & (data["gap"] == "")]
    failed = data[~is_trunk & (data["gap"] != "")]
    if len(failed):
        notes = [f"{row['se']} ({row['gap']})" for _, row in failed.iterrows()]
        subtitle += "\nNot shown: " + ", ".join(notes)
    figure = style.figure(_title(points), subtitle, width=8, height=5)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(points["se_params_m"].min() / _MARGIN, points["se_params_m"].max() * _MARGIN)
    ends = ("low_ms", "high_ms")
    parts.points(axes, points, "latency_ms", "se_params_m", ends, along="y")
    _draw_trunk(axes, data[is_trunk])
    _name_axes(axes, data[is_trunk])
    best, best_everywhere = (
        points[points[column]].sort_values("se_params_m")
        for column in ("on_front", "on_front_everywhere")
    )
    lines = [_draw_front(axes, best, "Pareto front", "solid")]
    if len(best_everywhere) and not best.equals(best_everywhere):
        lines.append(_draw_front(axes, best_everywhere, "with SE everywhere", "dashed"))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0)
    figure.draw_without_rendering()  # from here on the layout stands, and with it every pixel
    taken = [box for line in lines for box in labels.stairs(axes, line)]
    taken += [
        labels.bar(axes, *bar) for bar in zip(points["se_params_m"], *_ends(points), strict=True)
    ]
    named = points[points["on_front"] | points["on_front_everywhere"]].sort_values("se_params_m")
    names = zip(named["se_params_m"], named["latency_ms"], named["se"], strict=True)
    labels.place(axes, [labels.Label(x, y, text) for x, y, text in names], taken)
    return figure


def _ends(points: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The ends of the bars; of a point without an interval, the point itself."""
    low, high = (points[end].fillna(points["latency_ms"]) for end in ("low_ms", "high_ms"))
    return low, high


def _draw_trunk(axes: Axes, trunk: pd.DataFrame) -> None:
    for time in trunk["latency_ms"].dropna():
        axes.axhline(
            time, color=style.MUTED, linewidth=1, linestyle="dotted", label=f"trunk, {time:.1f} ms"
        )


def _name_axes(axes: Axes, trunk: pd.DataFrame) -> None:
    base = "".join(f" {millions:.2f} M" for millions in trunk["params_m"].dropna())
    axes.set_xlabel(f"parameters added to the trunk's{base} (M, log scale)")
    axes.set_ylabel("latency (ms), 95 % interval")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid()


def _draw_front(axes: Axes, best: pd.DataFrame, name: str, dash: str) -> Line2D:
    """The border of what is dominated: from the top, down to each point, and off to the right."""
    x, y = list(best["se_params_m"]), list(best["latency_ms"])
    edges = axes.get_xlim()[1], axes.get_ylim()[1]
    (line,) = axes.plot(
        [x[0], *x, edges[0]], [edges[1], *y, y[-1]], drawstyle="steps-post",
        color=style.INK, linestyle=dash, linewidth=1, zorder=1, label=name,
        scalex=False, scaley=False,
    )  # fmt: skip
    return line


def _title(points: pd.DataFrame) -> str:
    best = points[points["on_front"]]
    if len(points) == 1:
        return f"What {points['se'].iloc[0]} adds to the trunk, in size and in time"
    verb = "is" if len(best) == 1 else "are"
    title = f"{len(best)} of {len(points)} variants {verb} beaten by none in size and time"
    others = int(_may_lead(points).sum()) - len(best)
    return f"{title}; intervals allow {others} more" if others else title


def _may_lead(points: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which points none beats for certain: none as small is slower nowhere in the intervals."""
    size = points["se_params_m"].to_numpy(dtype=float)
    low, high = (end.to_numpy(dtype=float) for end in _ends(points))
    beaten = ((size[:, None] <= size) & (high[:, None] < low)).any(axis=0)
    return np.asarray(~beaten)
