"""How far each method's ratios of equal models spread, and how often it finds a slowdown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.method.comparisons import METHODS, SUITE
from bench.method.proof import equal_ratios
from bench.method.rivals import PYTEST_BENCHMARK, TIMM, TORCH
from bench.plots import style
from bench.stats import LEVEL
from bench.verdict import MARGIN

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


def title(frame: pd.DataFrame) -> str:
    """The best rival's spread over this suite's, per condition, in the shortest comparisons."""
    told = []
    rows = frame[(frame["method"] == SUITE) & (frame["slowed_pct"] == 0)]
    for condition, of_condition in rows.groupby("condition", sort=False):
        times = of_condition.iloc[0]["spread_over_suite"]
        if pd.notna(times):
            told.append(
                f"{times:.1f} times as far {'under load' if condition == 'loaded' else 'in quiet'}"
            )
    if not told:
        return "Ratios of equal models, and slowdowns found"
    return f"Equal models: the best other tool's ratios spread {' and '.join(told)}"


@style.theme()
def draw(frame: pd.DataFrame, singles: dict[str, pd.DataFrame]) -> Figure:
    """A row for each condition: single ratios of equal models on the left, finds on the right.

    Args:
        frame: rows of `bench.method.proof.proof`; the shortest comparisons are drawn.
        singles: by condition, rows of `bench.method.comparisons.comparisons` of one set each.
    """
    shortest = frame[frame["comparison_s"] == frame["comparison_s"].min()]
    subtitle = (
        f"Comparisons of {shortest.iloc[0]['comparison_s']:g} s. Left: every ratio of two equal "
        "models. Right: share of comparisons in which a model was called slower (this suite: "
        f"its verdict; others: a ratio beyond {1 + MARGIN:.2f}), with its exact "
        f"{100 * LEVEL:.0f} % interval."
    )
    figure = style.figure(title(frame), subtitle, width=9, height=2.5 * len(singles) + 0.5)
    panels = figure.subplots(len(singles), 2, squeeze=False, sharex="col")
    for (left, right), (condition, single) in zip(panels, singles.items(), strict=True):
        left.set_ylabel(condition, weight="bold")
        _spread(left, single)
        _finds(right, shortest[shortest["condition"] == condition])
    panels[-1][0].set_xlabel("ratio of equal models, minus 1 (%)")
    panels[-1][1].set_xlabel("true slowdown (%)")
    figure.legend(
        *panels[0][1].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS)
    )
    return figure


def save(frame: pd.DataFrame, singles: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """A PNG and an SVG."""
    return style.save(draw(frame, singles), folder, STEM)


def _spread(axes: Axes, single: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    for row, method in enumerate(METHODS):
        overheads_pct = 100 * (equal_ratios(single, method).ravel() - 1)
        places = row + _HALF_ROW * rng.uniform(-1, 1, len(overheads_pct))
        mark = _MARKS[method]
        axes.plot(
            overheads_pct, places, mark.marker, color=mark.colour, markersize=3, alpha=0.6,
            markeredgewidth=0,
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
            places, 100 * known["flagged_low"], 100 * known["flagged_high"],
            color=mark.colour, linewidth=1.2, alpha=0.7,
        )  # fmt: skip
        axes.plot(
            places, 100 * known["flagged_share"], mark.marker, color=mark.colour, label=method,
            markersize=mark.size, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
    axes.set_ylim(-4, 104)
    axes.set_ylabel("called slower (%)")
    axes.grid(True, axis="y")
