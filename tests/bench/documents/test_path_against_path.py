"""One path's time over another's is that of the same network, between processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from bench.documents.path_against_path import over_other_paths
from bench.documents.paths import markdown
from bench.grid import Grid, plan_blocks
from bench.ledger import Ledger
from bench.path_matrix import TRUNK
from bench.record import Arm, Block, Outcome, Planned, Round
from bench.stats import evidence, quotient
from bench.table import trials_frame
from bench.trial import Path

EAGER, FUSED, OTHER = Path(), Path("fused"), Path("none", "onnxruntime")
GRID = Grid(placements=("standard", "pre"), reductions=(16,), paths=(EAGER, FUSED, OTHER))
# What a forward takes by each path, in s, and how much more with SE.
TRUNK_S = {EAGER: 0.8, FUSED: 0.5, OTHER: 0.4}
SE = {"none": 1.0, "standard-r16": 1.25, "pre-r16": 2.0}
# What the medians of a path's processes are multiplied by.
PROCESSES = (0.99, 1.0, 1.01)


@dataclass
class Run:
    """A run with known times; the table of its only workload."""

    ledger: Ledger
    rows: pd.DataFrame


def run(processes: tuple[float, ...] = PROCESSES, *, without: str = "") -> Run:
    """Each path in as many processes, of nine rounds; one variant by ``OTHER`` may crash."""
    trials = GRID.trials()
    ledger = Ledger(map(Planned, trials))
    for block in plan_blocks(trials):
        path = block.arms[0].trial.path
        absent = tuple(a for a in block.arms if path == OTHER and label(a) == without)
        arms = tuple(arm for arm in block.arms if arm not in absent)
        for arm in absent:
            ledger.add(Outcome(arm.trial, "latency", "crashed", "made up"))
        for number, factor in enumerate(processes):
            visit = f"{block.key} {number}"
            ledger.add(Block(block.key, visit, visit, 0, arms, absent, (0.0,) * len(arms), 1, 0.0))
            times = tuple(factor * TRUNK_S[a.trial.path] * SE[label(a)] for a in arms)
            for _ in range(9):
                ledger.add(Round(visit, tuple(range(len(arms))), times, 0.0, 1.0, 0, 0.0, 0.0))
    return Run(ledger, trials_frame(ledger))


def label(arm: Arm) -> str:
    return arm.trial.variant.se.label


def cells(made: Run) -> pd.DataFrame:
    return over_other_paths(made.ledger, made.rows, FUSED.label).set_index("path")


def cell(made: Run, path: Path, column: str) -> str:
    return str(cells(made).loc[path.label, column])


@pytest.mark.parametrize("column", [TRUNK, "standard", "pre"])
def test_a_cell_is_the_quotient_of_what_processes_say(column: str) -> None:
    """Of the same placement by both, with the interval of what never met."""
    fused, other = (
        evidence([np.array([factor * TRUNK_S[path]]) for factor in PROCESSES])
        for path in (FUSED, OTHER)
    )
    assert fused is not None
    assert other is not None
    expected = quotient(fused, other).interval().scaled(100.0, -100.0)
    assert expected.estimate == pytest.approx(25.0)
    made = run()
    assert cell(made, OTHER, column) == f"+25.0 [{expected.low:+.1f}, {expected.high:+.1f}]"
    assert cell(made, EAGER, column).startswith("-37.5 [")
    assert list(cells(made).index) == [EAGER.label, OTHER.label]


def test_one_process_gives_no_interval() -> None:
    """As everywhere."""
    assert cell(run((1.0,)), OTHER, "standard") == "+25.0"


def test_what_was_not_measured_says_so() -> None:
    """By the other's status, or by a dash where ``fused`` has no time; nothing is made up."""
    made = run(without="pre-r16")
    assert cell(made, OTHER, "pre") == "crashed"
    lost = (made.rows["path"] == FUSED.label) & (made.rows["placement"] == "standard")
    made.rows.loc[lost, "p50_s"] = None
    assert cell(made, EAGER, "standard") == "–"
    made.rows.loc[made.rows["path"] == OTHER.label, "p50_s"] = None
    assert list(cells(made).index) == [EAGER.label]


def test_times_of_a_breakdown_are_marked() -> None:
    """Whichever of the two it is."""
    made = run()
    broken = (made.rows["path"] == OTHER.label) & (made.rows["placement"] == "pre")
    made.rows["disturbed"] = broken
    assert cell(made, OTHER, "pre").startswith("+25.0 (!) [")
    made.rows["disturbed"] = (made.rows["path"] == FUSED.label) & (made.rows["se"] == "none")
    assert cells(made)[TRUNK].str.contains(r"\(!\)").all()
    assert not cells(made)["pre"].str.contains(r"\(!\)").any()


def test_without_times_by_both_there_is_no_table() -> None:
    """Nor a line above one."""
    made = run()
    assert "minus one, in %; not paired:" in markdown(made.rows, None, made.ledger)
    fused = made.rows["path"] == FUSED.label
    for rows in (made.rows[fused], made.rows[~fused]):
        assert over_other_paths(made.ledger, rows, FUSED.label).empty
    assert "not paired" not in markdown(made.rows[~fused], None, made.ledger)
