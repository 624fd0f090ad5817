"""A quantity from run to run: a panel per trial, breaks where the environment changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.history.changes import Change, stretches
from bench.plots import style

_COLUMNS = 3
_CHANGED = "#D55E00"


def title(changes: Sequence[Change], quantity: str) -> str:
    """What has changed, in a line."""
    mine = [change for change in changes if change.quantity == quantity]
    if not mine:
        return f"{quantity.capitalize()} from run to run: no change found"
    trials = len({change.trial for change in mine})
    return f"{quantity.capitalize()} from run to run: {trials} variants have changed"


@style.theme()
def draw(history: pd.DataFrame, changes: Sequence[Change], quantity: str) -> Figure:
    """Every trial's values with their intervals, and its changes.

    Lines join the runs of one environment, and no others.

    Args:
        history: rows of `bench.history.gathering.history`.
        changes: of them.
        quantity: one of ``QUANTITIES`` that the history holds.
    """
    rows = history[history["quantity"] == quantity]
    trials = list(rows["trial"].unique())
    lines, labels = math.ceil(len(trials) / _COLUMNS), _labels(rows)
    subtitle = (
        "Bars: 95 % intervals. Dashed: another machine, or other packages; not comparable across. "
        "Orange: a change of level, and by how much."
    )
    figure = style.figure(title(changes, quantity), subtitle, width=10, height=1.7 * lines + 0.4)
    panels = list(figure.subplots(lines, _COLUMNS, squeeze=False, sharex=True).ravel())
    for axes, trial in zip(panels, trials, strict=False):
        series = rows[rows["trial"] == trial]
        _draw_series(axes, series)
        for change in changes:
            if (change.trial, change.quantity) == (trial, quantity):
                _draw_change(axes, change)
        axes.set_title(labels[trial], loc="left", size=8)
        axes.set_ylabel(rows["unit"].iloc[0])
        axes.grid(True, axis="y")
    for axes in panels[len(trials) :]:
        axes.set_visible(False)
    _label_runs(panels[: len(trials)], rows)
    return figure


def save(
    history: pd.DataFrame, changes: Sequence[Change], quantity: str, folder: Path
) -> list[Path]:
    """A PNG and an SVG."""
    return style.save(draw(history, changes, quantity), folder, f"history-{quantity}")


def _draw_series(axes: Axes, series: pd.DataFrame) -> None:
    for number, stretch in enumerate(stretches(series)):
        first = stretch.iloc[0]
        mark = style.mark(first["se"].partition("-")[0])
        if number:
            axes.axvline(first["run"] - 0.5, color=style.MUTED, linewidth=0.8, linestyle="--")
        bounded = stretch.dropna(subset=["low", "high"])
        axes.vlines(bounded["run"], bounded["low"], bounded["high"], color=mark.colour, alpha=0.5)
        axes.plot(
            stretch["run"], stretch["value"], marker=mark.marker, markersize=0.7 * mark.size,
            color=mark.colour, linewidth=1,
        )  # fmt: skip


def _draw_change(axes: Axes, change: Change) -> None:
    place = change.run - 0.5
    axes.axvline(place, color=_CHANGED, linewidth=1.2)
    by = f"{style.decimal(change.percent, 1)} {'points' if change.unit == '%' else '%'}"
    axes.annotate(
        by, (place, 1), xycoords=("data", "axes fraction"),
        xytext=(2, -8), textcoords="offset points", size=7, color=_CHANGED,
    )  # fmt: skip


def _labels(rows: pd.DataFrame) -> dict[str, str]:
    """What stands above each trial's panel: in a second line what is not the same for all."""
    parts = {str(key): str(key).split("@") for key in rows["trial"].unique()}
    varies = [len(set(column)) > 1 for column in zip(*parts.values(), strict=True)]
    labels = {}
    for key, (variant, *rest) in parts.items():
        apart = [part for part, shown in zip(rest, varies[1:], strict=True) if shown]
        labels[key] = "\n".join([variant, " ".join(apart)]).rstrip()
    return labels


def _label_runs(panels: Sequence[Axes], rows: pd.DataFrame) -> None:
    """The commits of the runs below each panel that has none below it."""
    runs = rows.drop_duplicates("run").sort_values("run")
    names = [
        commit or begun[:10]
        for commit, begun in zip(runs["commit"], runs["begun_at"], strict=True)
    ]  # fmt: skip
    for axes in panels[-_COLUMNS:]:
        axes.set_xticks(list(runs["run"]), names, rotation=60, ha="right", size=7)
        axes.tick_params(axis="x", labelbottom=True)
    for axes in panels:
        axes.set_xlim(runs["run"].min() - 0.6, runs["run"].max() + 0.6)
