"""The simulation's table as Markdown: what docs/coverage.md holds between its marks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.method.coverage import EFFECTS, LARGE_EFFECT, ROUNDS
from bench.method.intervals import IN_USE
from bench.method.noise import SCATTER
from bench.method.stopping import BLOCKS, PRECISION
from bench.run.schedule import PROCESSES

# What an interval of 95 % may cover, as fractions, to be called one.
BAND = (0.93, 0.97)


def markdown(frame: pd.DataFrame) -> str:
    """What the candidate in use covers and where it does not, the others, the verdicts.

    Args:
        frame: rows of `bench.method.coverage.coverage`.
    """
    ours = frame[frame["candidate"] == IN_USE.name]
    judged = ours[ours["found"].notna()]
    sections = [
        _settings(),
        _summary(ours),
        _exceptions(ours),
        f"Coverage of {IN_USE.name} over process medians, in %, with its exact 95 % interval:",
        _cells(ours),
        "All candidates, in blocks only the one in use: the least and most coverage over the cells "
        f"of a rule, in %, how many lie between {_band()}, and means of the intervals' half-width "
        "and of the processes used:",
        _candidates(frame),
        f"Verdicts ({IN_USE.name}, a variant judged alone), in %, over the kinds of noise:",
        _verdicts(judged),
    ]
    return "\n\n".join(sections) + "\n"


def span(rows: pd.DataFrame) -> tuple[float, float]:
    """The least and the most coverage of the rows, in percent."""
    return 100 * float(rows["coverage"].min()), 100 * float(rows["coverage"].max())


def inside(rows: pd.DataFrame) -> pd.Series:
    """Which rows' coverage lies in the band."""
    return rows["coverage"].between(*BAND)


def _settings() -> str:
    effects = ", ".join(f"{100 * effect:g}" for effect in EFFECTS)
    default, patient = BLOCKS[0].most, BLOCKS[1].most
    return (
        f"Single pairs scatter by {100 * SCATTER:.1f} %; {ROUNDS} rounds a process; process "
        f"effects of {effects} %, and {100 * LARGE_EFFECT:g} % for fixed numbers of processes; "
        f"precision ±{100 * PRECISION:g} % with {PROCESSES} processes or more, at most "
        f"{default} in a default run and {patient} in a patient one."
    )


def _summary(ours: pd.DataFrame) -> str:
    real = ours["rule"].isin([rule.name for rule in BLOCKS])
    return (
        f"Through the rule that stops real runs, {IN_USE.name}'s intervals {_covers(ours[real])}; "
        f"a lone arm's, and those of fixed numbers of processes, {_covers(ours[~real])}."
    )


def _covers(rows: pd.DataFrame) -> str:
    least, most = span(rows)
    count = int(inside(rows).sum())
    return f"cover {least:.1f} to {most:.1f} % ({count} of {len(rows)} cells between {_band()})"


def _exceptions(ours: pd.DataFrame) -> str:
    """The cells outside the band, and whether chance may have put them there."""
    out = ours[~inside(ours)]
    if out.empty:
        return f"No cell lies outside {_band()}."
    lines = [f"Outside {_band()}:", ""]
    for _, row in out.sort_values("rule", kind="stable").iterrows():
        low, high = row["coverage_low"], row["coverage_high"]
        by_chance = low <= BAND[1] and high >= BAND[0]
        lines.append(
            f"- {row['rule']}, {row['noise']}, process effect {row['process_effect_pct']:g} %: "
            f"{_coverage(row)}" + (", within chance of the band" if by_chance else "")
        )
    return "\n".join(lines)


def _cells(ours: pd.DataFrame) -> str:
    rules = list(ours["rule"].unique())
    lines: list[list[str]] = []
    for (noise, effect), rows in ours.groupby(["noise", "process_effect_pct"], sort=False):
        by_rule = {row["rule"]: row for _, row in rows.iterrows()}
        cells = [_coverage(by_rule[rule]) if rule in by_rule else "" for rule in rules]
        lines.append([f"{noise}", f"{effect:g} %", *cells, _count(rows)])
    return table(["noise", "process effect", *rules, "n"], lines)


def _candidates(frame: pd.DataFrame) -> str:
    lines: list[list[str]] = []
    for (rule, candidate), rows in frame.groupby(["rule", "candidate"], sort=False):
        least, most = span(rows)
        lines.append([
            f"{rule}", f"**{candidate}**" if candidate == IN_USE.name else f"{candidate}",
            f"{least:.1f} to {most:.1f}", f"{int(inside(rows).sum())} of {len(rows)}",
            f"{rows['half_width_pct'].mean():.2f}", f"{rows['processes'].mean():.1f}", _count(rows),
        ])  # fmt: skip
    head = ["rule", "candidate", "coverage", "in band", "half-width (%)", "processes", "n"]
    return table(head, lines)


def _verdicts(judged: pd.DataFrame) -> str:
    lines: list[list[str]] = []
    for (rule, effect), rows in judged.groupby(["rule", "process_effect_pct"]):
        spread = [
            f"{100 * rows[column].min():.1f} to {100 * rows[column].max():.1f}"
            for column in ("false_alarms", "found")
        ]
        lines.append([f"{rule}", f"{effect:g} %", *spread, _count(rows)])
    head = ["rule", "process effect", "slower at overhead 0", "slower at overhead 2 %", "n"]
    return table(head, lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells that are text already."""
    rows = (head, ["---"] * len(head), *lines)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _coverage(row: pd.Series) -> str:
    low, high = 100 * row["coverage_low"], 100 * row["coverage_high"]
    return f"{100 * row['coverage']:.1f} [{low:.1f}, {high:.1f}]"


def _count(rows: pd.DataFrame) -> str:
    """How many runs each of the rows simulated."""
    counts = sorted(set(rows["n"]))
    return " to ".join(f"{count}" for count in dict.fromkeys((counts[0], counts[-1])))


def _band() -> str:
    return f"{100 * BAND[0]:.0f} and {100 * BAND[1]:.0f} %"
