"""What docs and picture say of the simulation is what its table holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.method.figure import draw, title
from bench.method.intervals import CANDIDATES
from bench.method.report import markdown
from bench.method.stopping import BLOCKS, FIXED


def table(
    *, block: float = 0.95, few: float = 0.95, plain: float = 0.80, noise: str = "drift"
) -> pd.DataFrame:
    """One kind of noise; what Student covers in a block and of 3 processes, the bootstrap there."""
    rows = [
        (BLOCKS[0].name, "Student", block, 9.0, 0.005, 0.8),
        (FIXED[0].name, "Student", few, 3.0, None, None),
        (FIXED[0].name, "plain bootstrap", plain, 3.0, None, None),
    ]
    frame = pd.DataFrame(
        rows, columns=["rule", "candidate", "coverage", "processes", "false_alarms", "found"]
    )
    return frame.assign(
        noise=noise, process_effect_pct=0.5, n=2000, half_width_pct=1.25,
        coverage_low=frame["coverage"] - 0.01, coverage_high=frame["coverage"] + 0.01,
    )  # fmt: skip


def test_coverage_within_the_band_is_told() -> None:
    """Cells, candidates and verdicts, each with how many runs were simulated."""
    text = markdown(table())
    assert (
        "Through the rule that stops real runs, Student's intervals cover 95.0 to 95.0 % "
        "with independent processes (1 of 1 cells between 93 and 97 %). " in text
    )
    assert "No cell lies outside 93 and 97 %." in text
    assert "| noise | process effect | default, block of 7 | 3 processes | n |" in text
    assert "| drift | 0.5 % | 95.0 [94.0, 96.0] | 95.0 [94.0, 96.0] | 2000 |" in text
    assert "| 3 processes | plain bootstrap | 80.0 to 80.0 | 0 of 1 | 1.25 | 3.0 | 2000 |" in text
    assert "| 3 processes | **Student** | 95.0 to 95.0 | 1 of 1 | 1.25 | 3.0 | 2000 |" in text
    verdicts = "| default, block of 7 | 0.5 % | 0.5 | 80.0 | 2000 |"
    assert f"| with independent processes {verdicts}" in text
    assert "nan" not in text


def test_processes_that_hang_together_are_told_apart() -> None:
    """What they cover is no part of what independent ones do, in the text and in the picture."""
    frame = pd.concat([table(), table(block=0.88, noise="process memory")], ignore_index=True)
    text = markdown(frame)
    assert (
        "cover 95.0 to 95.0 % with independent processes (1 of 1 cells between 93 and 97 %), "
        "88.0 to 88.0 % with process memory (0 of 1 cells between 93 and 97 %). " in text
    )
    assert "\n| with process memory | default, block of 7 | 0.5 % |" in text
    assert title(frame) == (
        "Student covers 95.0 to 95.0 %, and 88.0 to 88.0 % where processes hang together"
    )


def test_what_was_simulated_is_told() -> None:
    """The sizes of noise, process effects, rounds and budgets, as the code has them."""
    assert markdown(table()).startswith(
        "Single pairs scatter by 6.0 %; 20 rounds a process; process effects of 0, 0.5, 1.2 %, "
        "and 3 % for fixed numbers of processes; where there is process memory, one correlates "
        "with the next by 0.5, and a run drift is 2 process effects from end to end; precision "
        "±1 % with 8 processes or more, at most 9 in a default run and 24 in a patient one, a "
        "block being looked at 3 times in each.\n\n"
    )


def test_verdicts_are_told_over_the_kinds_of_noise() -> None:
    """From the kind with the fewest to the one with the most."""
    other = table(noise="normal").assign(false_alarms=0.002, found=0.9)
    text = markdown(pd.concat([table(), other], ignore_index=True))
    assert "| default, block of 7 | 0.5 % | 0.2 to 0.5 | 80.0 to 90.0 | 2000 |" in text


def test_what_stops_as_real_runs_do_is_listed_first() -> None:
    """Of the coverage outside the band, rules stand in the order of the table."""
    lines = markdown(table(block=0.90, few=0.90)).splitlines()
    listed = [line for line in lines if line.startswith("- ")]
    assert [line.split(", drift")[0] for line in listed] == [
        "- default, block of 7", "- 3 processes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("few", "told"),
    [
        (0.90, "- 3 processes, drift, process effect 0.5 %: 90.0 [89.0, 91.0]\n"),
        (0.925, "0.5 %: 92.5 [91.5, 93.5], within chance of the band\n"),
        (0.985, "0.5 %: 98.5 [97.5, 99.5]\n"),
    ],
)
def test_coverage_outside_the_band_is_listed(few: float, told: str) -> None:
    """With whether chance may have put it there; a candidate not in use is not listed."""
    text = markdown(table(few=few))
    assert "Outside 93 and 97 %:\n\n- 3 processes" in text
    assert told in text
    assert text.count("\n- ") == 1


def test_the_picture_says_what_blocks_cover() -> None:
    """Its title leaves out what no real run does."""
    assert title(table(block=0.948, few=0.5)) == "Student covers 94.8 to 94.8 %"


def test_the_picture_shows_every_candidate_of_the_table() -> None:
    """A row for each rule and a column for each effect; each candidate is named once."""
    figure = draw(table())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["process effect 0.5 %", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["default, block of 7", "3 processes"]
    shown = [np.asarray(line.get_xdata()).tolist() for line in figure.axes[1].get_lines()]
    assert shown[1:] == [[80.0], [], [95.0], []]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [candidate.name for candidate in CANDIDATES]
