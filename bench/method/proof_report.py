"""The proof's table as Markdown: what docs/proof.md holds between its marks."""

from __future__ import annotations

import pandas as pd

from bench.method.comparisons import GATE, SUITE
from bench.method.report import table
from bench.verdict import MARGIN

PICTURE = "![Ratios of equal models, and slowdowns found](../results/method/proof.png)"
NOTHING = "No recording is committed yet: make one with `nox -s method`.\n"


def markdown(frame: pd.DataFrame) -> str:
    """What was recorded, the spread in a sentence, equal models, slowed ones.

    Args:
        frame: rows of `bench.method.proof.proof`.
    """
    if frame.empty:
        return NOTHING
    equal = frame[frame["slowed_pct"] == 0]
    slowed = frame[frame["slowed_pct"] > 0]
    sections = [
        "\n".join(_settings(equal)),
        "\n".join(_spreads(equal)),
        PICTURE,
        f"Equal models, in %; of the others a ratio beyond {1 + MARGIN:.2f} counts as a call:",
        table(
            ["condition", "length", "method", "n", "sd", "sd, adjacent", "called slower",
             f"beyond {100 * GATE:.0f} %", "called not slower", "half-width", "covers 0"],
            [_equal(row) for _, row in equal.iterrows()],
        ),
        "Slowed models, in %:",
        table(
            ["condition", "length", "true size", "method", "n", "mean", "sd", "called slower",
             f"beyond {100 * GATE:.0f} %", "called not slower", "half-width", "covers the truth"],
            [_slowed(row) for _, row in slowed.sort_values(
                ["size", "condition", "comparison_s", "slowed_pct"],
                ascending=[True, False, True, True], kind="stable",
            ).iterrows()],
        ),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _settings(equal: pd.DataFrame) -> list[str]:
    """A line per condition: under what it was measured, and how many comparisons it holds."""
    ours = equal[equal["method"] == SUITE]
    lines = []
    for _, rows in ours.groupby(["size", "condition"], sort=False):
        row = rows.iloc[0]
        counts = ", ".join(
            f"{each['n']} comparisons of equal models of {each['comparison_s']:g} s "
            f"({each['processes']} processes)"
            for _, each in rows.iterrows()
        )
        lines.append(
            f"- *{_condition(row)}*: ResNet-18, {row['threads']} threads that wait as "
            f"{row['waiting']}; {row['arms']} models at once; {counts}; "
            f"{row['inside_pct']:.0f} % of this suite's measuring time was inside forwards."
        )
    return lines


def _spreads(equal: pd.DataFrame) -> list[str]:
    lines = []
    for _, row in equal[equal["method"] == SUITE].iterrows():
        if pd.notna(row["spread_over_suite"]):
            interval = _bracket(row["spread_low"], row["spread_high"], "{:.1f}")
            lines.append(
                f"- In comparisons of {row['comparison_s']:g} s, {_condition(row)}, ratios of "
                f"equal models by the best of the others spread {row['spread_over_suite']:.1f}"
                f"{interval} times as far as by this suite."
            )
    return lines


def _equal(row: pd.Series) -> list[str]:
    return [
        _condition(row), f"{row['comparison_s']:g} s", _method(row), f"{row['n']}",
        _number(row["sd_pct"]), _adjacent(row), _share(row, "flagged"), _share(row, "gated"),
        _share(row, "not_slower"), _number(row["half_width_pct"]), _share(row, "covered"),
    ]  # fmt: skip


def _slowed(row: pd.Series) -> list[str]:
    true = _number(row["truth_pct"])
    if true:
        true += _bracket(row["truth_low_pct"], row["truth_high_pct"], "{:.2f}")
    return [
        _condition(row), f"{row['comparison_s']:g} s", true or f"{row['slowed_pct']:g} asked",
        _method(row), f"{row['n']}", _number(row["mean_pct"]), _number(row["sd_pct"]),
        _share(row, "flagged"), _share(row, "gated"), _share(row, "not_slower"),
        _number(row["half_width_pct"]), _share(row, "covered"),
    ]  # fmt: skip


def _condition(row: pd.Series) -> str:
    return f"{row['condition']}, {row['size']} px"


def _method(row: pd.Series) -> str:
    return f"**{row['method']}**" if row["method"] == SUITE else f"{row['method']}"


def _share(row: pd.Series, name: str) -> str:
    if pd.isna(row[f"{name}_share"]):
        return ""
    percent = [100 * float(row[f"{name}_{end}"]) for end in ("share", "low", "high")]
    return f"{percent[0]:.0f} [{percent[1]:.0f}, {percent[2]:.0f}]"


def _bracket(low: float, high: float, form: str) -> str:
    return "" if pd.isna(low) else f" [{form.format(low)}, {form.format(high)}]"


def _adjacent(row: pd.Series) -> str:
    if pd.isna(row["adjacent_sd_pct"]):
        return ""
    return f"{row['adjacent_sd_pct']:.2f} (n = {row['adjacent']:.0f})"


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"
