"""The simulation's table as Markdown: what docs/coverage.md holds between its marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from bench.method.coverage import EFFECTS, LARGE_EFFECT, ROUNDS
from bench.method.effects import MEMORY, SWING
from bench.method.intervals import IN_USE
from bench.method.noise import NOISES, SCATTER
from bench.method.stopping import BLOCKS, LOOKS, PRECISION
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


def through_the_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that end as real ones do."""
    return rows[rows["rule"].isin([rule.name for rule in BLOCKS])]


def is_independent(rows: pd.DataFrame) -> pd.Series:
    """In which rows no process has to do with another."""
    return rows["noise"].isin([noise.name for noise in NOISES if noise.is_independent])


def _by_dependence(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows with independent processes, and those of every other kind, by a phrase for each."""
    independent = is_independent(rows)
    kinds = {"with independent processes": rows[independent]} if independent.any() else {}
    for noise, chosen in rows[~independent].groupby("noise", sort=False):
        kinds[f"with {noise}"] = chosen
    return kinds


def _settings() -> str:
    effects = ", ".join(f"{100 * effect:g}" for effect in EFFECTS)
    default, patient = BLOCKS[0].most, BLOCKS[1].most
    return (
        f"Single pairs scatter by {100 * SCATTER:.1f} %; {ROUNDS} rounds a process; process "
        f"effects of {effects} %, and {100 * LARGE_EFFECT:g} % for fixed numbers of processes; "
        f"where there is process memory, one correlates with the next by {MEMORY:g}, and a run "
        f"drift is {SWING:g} process effects from end to end; precision ±{100 * PRECISION:g} % "
        f"with {PROCESSES} processes or more, at most {default} in a default run and {patient} in "
        f"a patient one, a block being looked at {LOOKS} times in each."
    )


def _summary(ours: pd.DataFrame) -> str:
    real = through_the_rule(ours)
    told = ", ".join(_covers(rows, f" {kind}") for kind, rows in _by_dependence(real).items())
    return (
        f"Through the rule that stops real runs, {IN_USE.name}'s intervals cover {told}. "
        f"Those of a lone arm and of fixed numbers of processes cover "
        f"{_covers(ours.drop(real.index))}."
    )


def _covers(rows: pd.DataFrame, which: str = "") -> str:
    least, most = span(rows)
    count = int(inside(rows).sum())
    return f"{least:.1f} to {most:.1f} %{which} ({count} of {len(rows)} cells between {_band()})"


def _exceptions(ours: pd.DataFrame) -> str:
    """The cells outside the band, and whether chance may have put them there."""
    out = ours[~inside(ours)]
    if out.empty:
        return f"No cell lies outside {_band()}."
    lines = [f"Outside {_band()}:", ""]
    rules = list(ours["rule"].unique())
    for _, row in out.sort_values("rule", kind="stable", key=_places(rules)).iterrows():
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
    for kind, chosen in _by_dependence(judged).items():
        for (rule, effect), rows in chosen.groupby(["rule", "process_effect_pct"]):
            shares = [_range(100 * rows[column]) for column in ("false_alarms", "found")]
            lines.append([kind, f"{rule}", f"{effect:g} %", *shares, _count(rows)])
    head = ["runs", "rule", "process effect", "slower at overhead 0", "slower at overhead 2 %", "n"]
    return table(head, lines)


def _range(values: pd.Series) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.1f}"
    return f"{values.min():.1f} to {values.max():.1f}"


def _places(names: Sequence[str]) -> Callable[[pd.Series], pd.Series]:
    """For each name of a column its place among ``names``."""
    return lambda column: column.map({name: place for place, name in enumerate(names)})


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
