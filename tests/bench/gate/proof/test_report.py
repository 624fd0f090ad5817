"""What made-up runs say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.gate.proof.figure import draw, title
from bench.gate.proof.lines import RECORDING, Ran, appending
from bench.gate.proof.pair import SLOWED
from bench.gate.proof.report import CSV, GATE, MARKDOWN, RIVAL, counts, markdown, named, write
from bench.method.recording import RefusedError
from tests.bench.gate.proof.made_up import HEADER, OTHER, gate_said, ran, rival_said

RUNS = [
    ran(0, "quiet"),
    ran(1, "loaded", rival=rival_said(1, none=12.0)),
    ran(2, "slowed", gate_said(1, SLOWED), rival_said(1, standard=5.4, none=6.0)),
    ran(3, "slowed", gate_said(1, SLOWED, OTHER), rival_said(0, standard=4.0)),
    ran(4, "loaded", gate_said(2)),
    ran(5, "quiet", gate_said(130)),
]


def row(frame: pd.DataFrame, kind: str, tool: str) -> pd.Series:
    (found,) = frame.index[(frame["kind"] == kind) & (frame["tool"] == tool)]
    return frame.loc[found]


def test_failed_builds_are_counted_with_exact_intervals() -> None:
    """And those apart that were neither passed nor failed."""
    frame = counts(RUNS)
    assert list(row(frame, "quiet", GATE)[["runs", "failed", "not_compared"]]) == [2, 0, 1]
    assert list(row(frame, "loaded", GATE)[["runs", "failed", "not_compared"]]) == [2, 0, 1]
    assert list(row(frame, "slowed", GATE)[["runs", "failed", "named"]]) == [2, 2, 1]
    assert list(row(frame, "loaded", RIVAL)[["runs", "failed", "named"]]) == [2, 1, 0]
    assert list(row(frame, "slowed", RIVAL)[["runs", "failed", "named"]]) == [2, 1, 0]
    # Clopper and Pearson: of none of two, at most 1 - 0.025^(1/2).
    assert row(frame, "quiet", GATE)["low"] == 0
    assert row(frame, "quiet", GATE)["high"] == pytest.approx(1 - 0.025**0.5)
    assert row(frame, "slowed", RIVAL)["changed_pct"] == pytest.approx(4.7)


def test_what_a_build_failed_for_is_named() -> None:
    """Of a build that passed, nothing is."""
    assert named(RUNS[3], GATE) == {SLOWED, OTHER}
    assert named(RUNS[2], RIVAL) == {SLOWED, OTHER}
    passed: Ran = ran(0, "quiet", rival=rival_said(0, none=7.0))
    assert named(passed, RIVAL) == set()


def test_files_hold_the_counts(tmp_path: Path) -> None:
    """A table for programs, one for readers, a picture; without runs, none."""
    with pytest.raises(RefusedError, match="holds no recorded run"):
        list(write(tmp_path))
    with appending(tmp_path / RECORDING) as append:
        append(HEADER)
        for run in RUNS:
            append(run)
    assert {path.name for path in write(tmp_path)} == {
        CSV, MARKDOWN, "digests.json", "gate_proof.png", "gate_proof.svg",
    }  # fmt: skip
    assert len(pd.read_csv(tmp_path / CSV)) == 9
    text = (tmp_path / MARKDOWN).read_text()
    assert text == markdown([HEADER], counts(RUNS))
    assert " 2 of 2 " in text
    assert "0 to 84 %" in text
    assert "`0123456789ab`" in text


def test_the_title_counts_false_alarms_and_finds() -> None:
    """A kind that was not run has no row."""
    assert title(counts(RUNS)) == "False alarms: 0 of 4. Slowdowns found: 2 of 2"
    assert len(draw(counts(RUNS)).axes[0].get_yticks()) == 3
    assert len(draw(counts(RUNS[:1])).axes[0].get_yticks()) == 1
