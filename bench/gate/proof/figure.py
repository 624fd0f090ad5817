"""How many builds each tool has failed, of equal revisions and of a slower one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.gate.proof.report import GATE, RIVAL, STRICT, TOOLS
from bench.plots import style

STEM = "gate_proof"
_LABELS = {
    "quiet": "same revision,\nquiet",
    "loaded": "same revision,\nbeside other work",
    "slowed": "one placement\nslower",
}
# Told apart by all common kinds of colour vision, and by form.
_MARKS = {GATE: style.Mark("#0072B2", "o", 7), RIVAL: style.Mark("#E69F00", "s", 6),
          STRICT: style.Mark("#009E73", "^", 7)}  # fmt: skip
_BESIDE = 0.22


def title(frame: pd.DataFrame) -> str:
    """The false alarms and the finds of this gate, in a line."""
    rows = frame[frame["tool"] == GATE]
    equal, slowed = rows[rows["kind"] != "slowed"], rows[rows["kind"] == "slowed"]
    return (
        f"False alarms: {equal['failed'].sum()} of {equal['runs'].sum()}. "
        f"Slowdowns found: {slowed['failed'].sum()} of {slowed['runs'].sum()}"
    )


@style.theme()
def draw(frame: pd.DataFrame) -> Figure:
    """A row for each kind of run, with a mark and its exact interval for each tool."""
    subtitle = "Share of failed builds, with exact 95 % intervals; the title is of this gate."
    kinds = list(dict.fromkeys(frame["kind"]))
    figure = style.figure(title(frame), subtitle, width=7.5, height=0.8 * len(kinds) + 1)
    axes = figure.add_subplot()
    for order, tool in enumerate(TOOLS):
        known, mark = frame[frame["tool"] == tool], _MARKS[tool]
        places = [kinds.index(kind) + (order - 1) * _BESIDE for kind in known["kind"]]
        axes.hlines(places, 100 * known["low"], 100 * known["high"], color=mark.colour)
        axes.plot(
            100 * known["failed"] / known["runs"], places, mark.marker, color=mark.colour,
            markersize=mark.size, linestyle="none", label=tool, clip_on=False,
        )  # fmt: skip
    axes.set_yticks(range(len(kinds)), [_LABELS[kind] for kind in kinds])
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.set_xlabel("failed builds, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(TOOLS))
    return figure


def save(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """A PNG and an SVG in ``folder``."""
    return style.save(draw(frame), folder, STEM)
