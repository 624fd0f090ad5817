"""How often the gate errs is told from the recorded runs, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from bench.documents import gate
from bench.documents.sources import GATE, GATE_RUNS
from bench.documents.stale import stale_gate
from bench.gate.proof.lines import appending
from bench.gate.proof.pair import SLOWED
from bench.gate.proof.report import write
from tests.bench.gate.proof.made_up import HEADER, gate_said, ran, rival_said


def recorded(root: Path) -> Path:
    """Of two equal pairs the rival fails one; both fail the slower one, the rival for another."""
    path = root / GATE_RUNS
    with appending(path) as append:
        append(HEADER)
        append(ran(0, "quiet", rival=rival_said(1, none=7.0)))
        append(ran(1, "loaded"))
        append(ran(2, "slowed", gate_said(1, SLOWED), rival_said(1, none=7.0)))
    return path


def test_each_tool_is_told_by_its_counts(tmp_path: Path) -> None:
    """False alarms, finds, and whether they named what is slower."""
    ours, rival, strict = gate.summary(recorded(tmp_path)).splitlines()
    assert ours.startswith(
        "- *this gate*: builds that failed for a revision compared with itself: "
    )
    assert "0 of 1 in quiet, 0 of 1 beside other work; " in ours
    assert ours.endswith("in one placement: 1 of 1, 1 of these for that placement and no other.")
    assert "median:5%*: " in rival
    assert "1 of 1 in quiet, 0 of 1 beside other work; " in rival
    assert rival.endswith("1 of 1, 0 of these for that placement and no other.")
    assert strict.startswith("- *the same medians, 2%*: ")
    text = gate.markdown(tmp_path / GATE_RUNS)
    assert "1 of 1" in text
    assert text.endswith(f"{gate.PICTURE}\n")


def test_a_table_that_the_runs_do_not_make_is_stale(tmp_path: Path) -> None:
    """Or one that is missing; without any runs there is nothing to follow."""
    assert list(stale_gate(tmp_path)) == []
    recorded(tmp_path)
    assert len(list(stale_gate(tmp_path))) == 1
    assert len(list(write(tmp_path / GATE.parent))) == 5
    assert list(stale_gate(tmp_path)) == []
    table = tmp_path / GATE
    table.write_text(table.read_text().replace("quiet", "loaded"))
    assert len(list(stale_gate(tmp_path))) == 1
