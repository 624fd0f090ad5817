"""Coverage by noise, process effect, rule and way of making intervals, each with its interval."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.method.intervals import CANDIDATES, IN_USE
from bench.method.report import BAND, is_independent, span, through_the_rule
from bench.plots import style
from bench.stats import LEVEL

STEM = "coverage"

# Told apart by all common kinds of colour vision, and by form; the one in use is a full circle.
_MARKS = {
    "plain bootstrap": style.Mark("#E69F00", "s", 4),
    "expanded bootstrap": style.Mark("#CC79A7", "^", 5),
    "Student": style.Mark("#0072B2", "o", 4.5),
    "random effects": style.Mark("#009E73", "D", 4),
}
_STEP = 0.19  # between candidates of a row


def title(frame: pd.DataFrame) -> str:
    """What the candidate in use covers, over all cells in which runs stop as real ones do."""
    real = through_the_rule(frame)
    kinds = [(is_independent(real), ""), (~is_independent(real), "where processes hang together")]
    told = []
    for chosen, where in kinds:
        if chosen.any():
            least, most = span(real[chosen])
            told.append(f"{least:.1f} to {most:.1f} % {where}".rstrip())
    return f"{IN_USE.name} covers {', and '.join(told)}"


@style.theme()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for every rule and process effect, a row in it for every kind of noise."""
    rules, effects, noises = (
        list(frame[column].unique()) for column in ("rule", "process_effect_pct", "noise")
    )
    subtitle = (
        f"Share of simulated runs whose {100 * LEVEL:.0f} % interval holds the truth, with its "
        f"exact interval. Shaded: {100 * BAND[0]:.0f} to {100 * BAND[1]:.0f} %. "
        "Title: of blocks."
    )
    height = (0.15 * len(noises) + 0.65) * len(rules) + 0.5
    figure = style.figure(title(frame), subtitle, width=10, height=height)
    panels = figure.subplots(len(rules), len(effects), sharex=True, sharey=True, squeeze=False)
    unnamed = set(effects)
    for row, rule in zip(panels, rules, strict=True):
        row[0].set_ylabel(rule, weight="bold")
        for axes, effect in zip(row, effects, strict=True):
            rows = frame[(frame["rule"] == rule) & (frame["process_effect_pct"] == effect)]
            if rows.empty:
                axes.set_axis_off()
                continue
            _panel(axes, rows, noises)
            if effect in unnamed:
                axes.set_title(f"process effect {effect:g} %", loc="left", size=9)
                unnamed.remove(effect)
    panels[0][0].set_xlim(100 * frame["coverage_low"].min() - 0.5, 100.5)
    for axes in panels[-1]:
        axes.set_xlabel("coverage (%)")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(CANDIDATES)
    )
    return figure


def save(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """A PNG and an SVG."""
    return style.save(draw(frame), folder, STEM)


def _panel(axes: Axes, rows: pd.DataFrame, noises: list[str]) -> None:
    axes.axvspan(100 * BAND[0], 100 * BAND[1], color=style.FAINT, alpha=0.6, linewidth=0, zorder=0)
    axes.axvline(100 * LEVEL, color=style.MUTED, linewidth=0.8)
    for order, (name, mark) in enumerate(_MARKS.items()):
        known = rows[rows["candidate"] == name]
        shift = _STEP * (order - (len(_MARKS) - 1) / 2)
        places = [noises.index(noise) + shift for noise in known["noise"]]
        axes.hlines(
            places, 100 * known["coverage_low"], 100 * known["coverage_high"],
            color=mark.colour, linewidth=1.2, alpha=0.7,
        )  # fmt: skip
        axes.plot(
            100 * known["coverage"], places, mark.marker, color=mark.colour, label=name,
            markersize=mark.size, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
    axes.set_yticks(range(len(noises)), noises)
    axes.set_ylim(len(noises) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
