"""How far each method's ratios of equal models spread, and how often it finds a slowdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.method.comparisons import METHODS, SUITE
from bench.method.load import Load
from bench.method.proof import equal_ratios
from bench.method.rivals import PYTEST_BENCHMARK, TIMM, TORCH
from bench.plots import style
from bench.stats import LEVEL

STEM = "proof"

# Told apart by all common kinds of colour vision, and by form.
_MARKS = {
    SUITE: style.Mark("#0072B2", "o", 4.5),
    PYTEST_BENCHMARK: style.Mark("#E69F00", "s", 4),
    TORCH: style.Mark("#009E73", "^", 5),
    TIMM: style.Mark("#CC79A7", "D", 4),
}
_STEP = 0.12  # between methods, in percent of slowdown
_HALF_ROW = 0.3  # over which single ratios are strewn


# A condition and an input size in pixels: what a recording is of.
Kind: TypeAlias = tuple[Load, int]


def title(frame: pd.DataFrame) -> str:
    """By how much the best rival's ratios spread more than this suite's at least, anywhere.

    Comparisons that this suite has marked are counted.
    """
    rows = frame[(frame["method"] == SUITE) & (frame["slowed_pct"] == 0)]
    bounded = rows["spread_of_all_low"].dropna()
    if bounded.empty:
        return "Ratios of equal models, and slowdowns found"
    return (
        "Equal models: the best other tool's ratios spread at least "
        f"{bounded.min():.1f} times as far"
    )


@style.theme()
def draw(frame: pd.DataFrame, singles: Mapping[Kind, pd.DataFrame]) -> Figure:
    """A row for each recording: single ratios of equal models on the left, finds on the right.

    Args:
        frame: rows of `bench.method.proof.proof`; a recording's shortest comparisons are drawn.
        singles: rows of `bench.method.comparisons.comparisons` of one set each.
    """
    subtitle = (
        "Left: every ratio of two equal models, open where this suite marked the comparison as "
        "measured in a breakdown. Right: share of comparisons in which a model was "
        "called slower, by one rule on the error that each method tells, with its exact "
        f"{100 * LEVEL:.0f} % interval."
    )
    drawn = {kind: single for kind, single in singles.items() if not single.empty}
    figure = style.figure(title(frame), subtitle, width=9, height=2.5 * len(drawn) + 0.5)
    panels = figure.subplots(len(drawn), 2, squeeze=False, sharex="col")
    for (left, right), (kind, single) in zip(panels, drawn.items(), strict=True):
        rows = frame[(frame["condition"] == kind[0]) & (frame["size"] == kind[1])]
        shortest = rows[rows["comparison_s"] == rows["comparison_s"].min()]
        left.set_ylabel(f"{kind[0]}, {kind[1]} px", weight="bold")
        left.set_title(f"comparisons of {shortest.iloc[0]['comparison_s']:g} s", loc="left", size=9)
        _spread(left, single)
        _finds(right, shortest)
    panels[-1][0].set_xlabel("ratio of equal models, minus 1 (%)")
    panels[-1][1].set_xlabel("true slowdown (%)")
    figure.legend(
        *panels[0][1].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS)
    )
    return figure


def save(frame: pd.DataFrame, singles: Mapping[Kind, pd.DataFrame], folder: Path) -> list[Path]:
    """A PNG and an SVG."""
    return style.save(draw(frame, singles), folder, STEM)


def _spread(axes: Axes, single: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    for row, method in enumerate(METHODS):
        mark = _MARKS[method]
        for chosen, look in (
            (single[~single["disturbed"]], {"markeredgewidth": 0}),
            (single[single["disturbed"]], {"markerfacecolor": "none", "markeredgewidth": 0.8}),
        ):
            overheads_pct = 100 * (equal_ratios(chosen, method).ravel() - 1)
            places = row + _HALF_ROW * rng.uniform(-1, 1, len(overheads_pct))
            axes.plot(
                overheads_pct, places, mark.marker, color=mark.colour, markersize=3, alpha=0.6,
                **look,
            )  # fmt: skip
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    axes.set_yticks(range(len(METHODS)), METHODS)
    axes.set_ylim(len(METHODS) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _finds(axes: Axes, rows: pd.DataFrame) -> None:
    for order, method in enumerate(METHODS):
        known = rows[rows["method"] == method].sort_values("slowed_pct")
        true_pct = known["truth_pct"].fillna(known["slowed_pct"])
        places = true_pct + _STEP * (order - (len(METHODS) - 1) / 2)
        mark = _MARKS[method]
        axes.vlines(
            places, 100 * known["slower_low"], 100 * known["slower_high"],
            color=mark.colour, linewidth=1.2, alpha=0.7,
        )  # fmt: skip
        axes.plot(
            places, 100 * known["slower_share"], mark.marker, color=mark.colour, label=method,
            markersize=mark.size, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
    axes.set_ylim(-4, 104)
    axes.set_ylabel("called slower (%)")
    axes.grid(True, axis="y")
