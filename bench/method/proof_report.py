"""The proof's table as Markdown: what docs/proof.md holds between its marks."""

from __future__ import annotations

import pandas as pd

from bench.method.comparisons import GATE, SUITE
from bench.method.proof import COUNTED
from bench.method.report import table
from bench.method.shares import share
from bench.method.targets import condition, of, targets, times
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
    """A table for README, a row per recording: false alarms, spread, and what was found.

    Args:
        frame: rows of `bench.method.proof.proof`.
    """
    ours = frame[frame["method"] == SUITE]
    head = [
        "recording", "equal models called slower", "sd of their ratios",
        "best other tool's, times as far", "real slowdowns found", "called not slower",
    ]  # fmt: skip
    rows = [_told(rows) for _, rows in ours.groupby(["size", "condition"], sort=False)]
    return f"{table(head, rows)}\n\n{_SUMMARY}\n"


_SUMMARY = (
    "Times as far: in the same measuring time, then with the time that starting takes. Marked: "
    "measured in a breakdown, where nothing is decided; the first figure leaves them out."
)


def _told(rows: pd.DataFrame) -> list[str]:
    """What this suite made of one recording."""
    equal = rows[rows["slowed_pct"] == 0].sort_values("comparison_s")
    short, long = equal.iloc[0], equal.iloc[-1]
    slowed = rows[(rows["slowed_pct"] > 0) & (rows["comparison_s"] == long["comparison_s"])]
    found = ", ".join(
        f"{row['truth_pct']:.1f} %: {row['slower']:.0f} of {row['n']}"
        for _, row in slowed.sort_values("slowed_pct").iterrows()
    )
    alarms = "; ".join(
        f"{row['slower']:.0f} of {row['n']} in {row['comparison_s']:g} s"
        for _, row in equal.iterrows()
    )
    sd, further = f"{short['sd_pct']:.2f} %", ""
    if pd.notna(short["spread_over_suite"]):
        further = f"{times(short, 'spread')}; {times(short, 'even_spread')}"
    if short["disturbed"]:
        sd += f" (with {short['disturbed']:.0f} marked: {short['sd_of_all_pct']:.2f} %)"
        further += (
            f" (with marked: {times(short, 'spread_of_all')}; {times(short, 'even_spread_of_all')})"
        )
    return [
        condition(short), alarms, sd, further, f"{found}, in {long['comparison_s']:g} s",
        f"{slowed['not_slower'].sum():.0f} of {slowed['n'].sum()}",
    ]  # fmt: skip


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
            f"equal models by the best of the others spread {times(row, 'spread')} times as far "
            "as by this suite"
        )
        if pd.notna(row["adjacent_spread_over_suite"]):
            line += (
                "; those of models that ran one right after the other "
                f"{times(row, 'adjacent_spread')} times"
            )
        line += (
            ". Had the others been given the wall time that starting took too, that would be "
            f"{row['even_spread_over_suite']:.1f} times at best"
        )
        if row["disturbed"]:
            line += (
                f". Without the {row['disturbed']:.0f} of {row['n']} that this suite marked as "
                "measured in a breakdown, and did not decide: with them it is "
                f"{times(row, 'spread_of_all')} times"
            )
        lines.append(f"{line}.")
    return lines


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
