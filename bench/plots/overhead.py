"""What SE costs: the overhead of every placement and ratio, with its interval.

The grey behind a variant is the noise floor of its block: what a second,
identical trunk seemed to cost in the same rounds. An overhead whose interval
reaches into it is no finding. A hollow point has no interval.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots import claims, parts, style
from bench.plots import rows as of

OTHERS = "other variants"

_WIDE = 2.8  # slots that a variant takes whose whole name stands below it
_LEAST_GROUP = 3  # slots that the name of a group needs


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per variant: its group, ratio, overhead and interval, or why it has none."""
    shown = of.variants(rows)
    overhead = of.number(shown, "overhead_pct")
    if overhead.isna().all():
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "group": shown["placement"].astype(str).where(of.in_grid(shown), OTHERS),
            "placement": shown["placement"].astype(str),
            "reduction": of.number(shown, "reduction"),
            "se": shown["se"].astype(str),
            **of.overheads(shown),
            "gap": of.gap(shown, overhead),
        }
    ).reset_index(drop=True)


def title(data: pd.DataFrame) -> str:
    """How many variants are slower beyond noise, and the extremes where they are apart."""
    counted = claims.tally(data)
    if len(claims.judged(data)) < 2 or not claims.slower(data).any():
        return counted
    found = claims.extremes(data)
    if found is None:
        return f"{counted}; least and most cannot be told apart"
    beyond = f"{int(claims.slower(data).sum())} of {len(claims.judged(data))} beyond noise"
    return f"SE costs {_named(found.least)} to {_named(found.most)}; {beyond}"


def _named(row: pd.Series) -> str:
    return f"{style.decimal(row['overhead_pct'], 1)} % ({row['se']})"


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    placed, groups = _lay_out(data)
    width = groups["end"].iloc[-1]
    figure = style.figure(title(data), subtitle, width=max(6.0, 1.6 + 0.24 * width), height=4)
    axes = figure.add_subplot()
    if parts.noise_floor(axes, placed, "place", "slot", along="y"):
        last = data[["noise_low_pct", "noise_high_pct"]].dropna().iloc[-1]
        axes.text(
            1.01, last.mean(), "noise\nfloor",
            transform=axes.get_yaxis_transform(), va="center", color=style.MUTED, size=8,
        )  # fmt: skip
    ends = ("overhead_low_pct", "overhead_high_pct")
    parts.points(axes, placed, "overhead_pct", "place", ends, along="y")
    for _, row in placed[placed["gap"] != ""].iterrows():
        _draw_gap(axes, row)
    for _, group in groups.iterrows():
        _head(axes, group)
    axes.set_xticks(placed["place"], [_label(row) for _, row in placed.iterrows()])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, width - 0.5)
    _name_ratios(axes, groups)
    axes.set_ylabel(f"overhead over the trunk (%)\n{parts.interval_note(data)}")
    axes.grid(True, axis="y")
    return figure


def _lay_out(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with ``place`` and ``slot`` on the axis, and where each group starts and ends."""
    start, places, groups = 0.0, [], []
    for name, group in data.groupby("group", sort=False):
        slot = _slot(str(name))
        width = max(_LEAST_GROUP, slot * len(group))
        first = start + (width - slot * (len(group) - 1)) / 2
        places += [first + slot * index for index in range(len(group))]
        groups.append((str(name), start, start + width + 1))
        start += width + 1
    return (
        data.assign(place=places, slot=[_slot(group) for group in data["group"]]),
        pd.DataFrame(groups, columns=["name", "start", "end"]),
    )


def _head(axes: Axes, group: pd.Series) -> None:
    name = group["name"]
    colour = style.INK if name == OTHERS else style.mark(name).colour
    axes.text(
        (group["start"] + group["end"] - 1) / 2, 1.03, name, color=colour, weight="bold",
        transform=axes.get_xaxis_transform(), ha="center",
    )  # fmt: skip
    if group["start"]:
        axes.axvline(group["start"] - 0.5, color=style.FAINT, linewidth=0.8)


def _draw_gap(axes: Axes, row: pd.Series) -> None:
    half = 0.4 * _slot(row["group"])
    axes.axvspan(
        row["place"] - half, row["place"] + half, facecolor="none", hatch="////", linewidth=0
    )
    axes.text(
        row["place"], 0.5, row["gap"], transform=axes.get_xaxis_transform(), rotation=90,
        ha="center", va="center", color=style.MUTED, size=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _name_ratios(axes: Axes, groups: pd.DataFrame) -> None:
    ratios = groups[groups["name"] != OTHERS]
    if len(ratios):
        axes.annotate(
            "reduction ratio r", ((ratios["end"].iloc[-1] - 1) / 2, 0), (0, -22),
            xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            ha="center", va="top",
        )  # fmt: skip


def _slot(group: str) -> float:
    return _WIDE if group == OTHERS else 1.0


def _label(row: pd.Series) -> str:
    return row["se"].replace("-", "\n") if row["group"] == OTHERS else f"{row['reduction']:.0f}"
