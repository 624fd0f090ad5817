"""The proof's table as Markdown: what docs/proof.md holds between its marks."""

from __future__ import annotations

import pandas as pd

from bench.method.comparisons import GATE, SUITE
from bench.method.proof import COUNTED
from bench.method.report import table
from bench.method.shares import share
from bench.method.targets import condition, of, targets
from bench.verdict import MARGIN

PICTURE = "![Ratios of equal models, and slowdowns found](../results/method/proof.png)"
_COUNTED = (
    "called slower",
    "called not slower",
    f"beyond {1 + MARGIN:.2f}",
    f"beyond {1 + GATE:.2f}",
)
_RULE = (
    "by this suite's rule, on the error that a method tells; of the others also how often a bare "
    "ratio lies beyond this suite's margin, and beyond the gate of many a continuous integration"
)


def markdown(frame: pd.DataFrame) -> str:
    """What was recorded, what was to be reached, the spread, equal models, slowed ones.

    Args:
        frame: rows of `bench.method.proof.proof`.
    """
    equal = frame[frame["slowed_pct"] == 0]
    slowed = frame[frame["slowed_pct"] > 0]
    sections = [
        "\n".join(_settings(equal)),
        table(
            ["what is to be reached", "in", "got", "met, by the figure itself"],
            [[each.asked, each.condition, each.found, "yes" if each.met else "**no**"]
             for each in targets(frame)],
        ),
        "\n".join(_spreads(equal)),
        PICTURE,
        f"Equal models, in %. Called slower or not: {_RULE}.",
        table(
            ["condition", "length", "method", "sd", "sd, adjacent", *_COUNTED, "half-width",
             "covers 0"],
            [_equal(row) for _, row in equal.iterrows()],
        ),
        "Slowed models, in %:",
        table(
            ["condition", "length", "true size", "method", "mean", "sd", *_COUNTED, "half-width",
             "covers the truth"],
            [_slowed(row) for _, row in slowed.sort_values(
                ["size", "condition", "comparison_s", "slowed_pct"],
                ascending=[True, False, True, True], kind="stable",
            ).iterrows()],
        ),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def summary(frame: pd.DataFrame) -> str:
    """A line per recording, for README: false alarms, spread, and what was found.

    Args:
        frame: rows of `bench.method.proof.proof`.
    """
    ours = frame[frame["method"] == SUITE]
    lines = [_told(rows) for _, rows in ours.groupby(["size", "condition"], sort=False)]
    return "\n".join(lines) + "\n"


def _told(rows: pd.DataFrame) -> str:
    """What this suite made of one recording."""
    equal = rows[rows["slowed_pct"] == 0].sort_values("comparison_s")
    short, long = equal.iloc[0], equal.iloc[-1]
    slowed = rows[(rows["slowed_pct"] > 0) & (rows["comparison_s"] == long["comparison_s"])]
    found = ", ".join(
        f"{row['truth_pct']:.1f} % in {row['slower']:.0f} of {row['n']}"
        for _, row in slowed.sort_values("slowed_pct").iterrows()
    )
    wrong = slowed["not_slower"].sum()
    times = "" if pd.isna(short["spread_over_suite"]) else (
        f", of the best other tool {short['spread_over_suite']:.0f} times as far"
        f"{_bracket(short['spread_low'], short['spread_high'], '{:.0f}')} in the same measuring "
        f"time, {short['even_spread_over_suite']:.0f} times with the time that starting takes"
    )  # fmt: skip
    marked = "" if not short["disturbed"] else (
        f", without {short['disturbed']:.0f} that were marked as measured in a breakdown (with "
        f"them {short['sd_of_all_pct']:.2f} %, and the best other tool's "
        f"{_times(short, 'spread_of_all')} times as far)"
    )  # fmt: skip
    return (
        f"- *{condition(short)}*: of {short['n']} comparisons of equal models, "
        f"{short['comparison_s']:g} s each, {short['slower']:.0f} "
        f"{'was' if short['slower'] == 1 else 'were'} called slower; their ratios spread by "
        f"{short['sd_pct']:.2f} % (sd){marked}{times}. Real slowdowns found in comparisons of "
        f"{long['comparison_s']:g} s: {found}; called not slower: {wrong:.0f}. Of that length "
        f"{long['slower']:.0f} of {long['n']} comparisons of equal models were called slower."
    )


def _settings(equal: pd.DataFrame) -> list[str]:
    """A line per recording: under what it was measured, and what it took."""
    lines = []
    for _, rows in equal.groupby(["size", "condition"], sort=False):
        ours = rows[rows["method"] == SUITE]
        theirs = rows[rows["method"] != SUITE]
        row = ours.iloc[0]
        counts = ", ".join(
            f"{each['n']} comparisons of equal models of {each['comparison_s']:g} s "
            f"({each['processes']} processes)"
            for _, each in ours.iterrows()
        )
        took = " and ".join(
            f"{mine['comparison_s']:g} s took {mine['wall_s']:.0f} s by this suite, "
            f"{other_s:.0f} s by the others"
            for (_, mine), other_s in zip(
                ours.iterrows(), theirs.groupby("comparison_s")["wall_s"].first(), strict=True
            )
        )
        alarmed = " and ".join(_alarmed(each) for _, each in ours.iterrows())
        lines.append(
            f"- *{condition(row)}*: {row['cpu']}"
            f"{'' if pd.isna(row['commit']) else f', source of {row.commit}'}; "
            f"ResNet-18, {row['threads']} threads that wait as "
            f"{row['waiting']}; {row['arms']} models at once; {counts}. With starting and "
            f"warming up, {took}. Of comparisons {alarmed} called any equal model slower."
        )
    return lines


def _alarmed(row: pd.Series) -> str:
    """Equal models of a comparison share its trunk's noise; comparisons themselves share nothing.

    So this is the count whose interval holds, whatever the models have in common.
    """
    count, n = int(row["alarmed"]), round(row["n"] / row["equal_models"])
    return f"of {row['comparison_s']:g} s {of(share(count, n))} %"


def _spreads(equal: pd.DataFrame) -> list[str]:
    lines = []
    for _, row in equal[equal["method"] == SUITE].iterrows():
        if pd.isna(row["spread_over_suite"]):
            continue
        line = (
            f"- In comparisons of {row['comparison_s']:g} s, {condition(row)}, ratios of "
            f"equal models by the best of the others spread {_times(row, 'spread')} times as far "
            "as by this suite"
        )
        if pd.notna(row["adjacent_spread_over_suite"]):
            line += (
                "; those of models that ran one right after the other "
                f"{_times(row, 'adjacent_spread')} times"
            )
        line += (
            ". Had the others been given the wall time that starting took too, that would be "
            f"{row['even_spread_over_suite']:.1f} times at best"
        )
        if row["disturbed"]:
            line += (
                f". Without the {row['disturbed']:.0f} of {row['n']} that this suite marked as "
                "measured in a breakdown, and did not decide: with them it is "
                f"{_times(row, 'spread_of_all')} times"
            )
        lines.append(f"{line}.")
    return lines


def _times(row: pd.Series, name: str) -> str:
    interval = _bracket(row[f"{name}_low"], row[f"{name}_high"], "{:.1f}")
    return f"{row[f'{name}_over_suite']:.1f}{interval}"


def _equal(row: pd.Series) -> list[str]:
    return [
        condition(row), f"{row['comparison_s']:g} s", _method(row),
        _sd(row), _adjacent(row), *(_share(row, name) for name in COUNTED),
        _number(row["half_width_pct"]), _share(row, "covered"),
    ]  # fmt: skip


def _slowed(row: pd.Series) -> list[str]:
    true = _number(row["truth_pct"])
    if true:
        true += _bracket(row["truth_low_pct"], row["truth_high_pct"], "{:.2f}")
    return [
        condition(row), f"{row['comparison_s']:g} s", true or f"{row['slowed_pct']:g} asked",
        _method(row), _number(row["mean_pct"]), _sd(row),
        *(_share(row, name) for name in COUNTED), _number(row["half_width_pct"]),
        _share(row, "covered"),
    ]  # fmt: skip


def _method(row: pd.Series) -> str:
    return f"**{row['method']}**" if row["method"] == SUITE else f"{row['method']}"


def _share(row: pd.Series, name: str) -> str:
    """How many of how many, in percent, with the exact interval."""
    if pd.isna(row[f"{name}_share"]):
        return ""
    return of(share(int(row[name]), int(row["intervals" if name == "covered" else "n"])))


def _bracket(low: float, high: float, form: str) -> str:
    return "" if pd.isna(low) else f" [{form.format(low)}, {form.format(high)}]"


def _sd(row: pd.Series) -> str:
    """Of the comparisons that are not marked, and of all."""
    sd = _number(row["sd_pct"])
    return f"{sd} (all: {_number(row['sd_of_all_pct'])})" if row["disturbed"] else sd


def _adjacent(row: pd.Series) -> str:
    if pd.isna(row["adjacent_sd_pct"]):
        return ""
    return f"{row['adjacent_sd_pct']:.2f} (n = {row['adjacent']:.0f})"


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"
