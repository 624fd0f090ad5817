"""From records to rows: verdicts are those of the whole grid, and of blocks that can be trusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from scipy.special import stdtrit

from bench.grid import Grid, plan_blocks
from bench.ledger import Ledger
from bench.record import Block, Planned, Round
from bench.stats import Evidence
from bench.table import trials_frame
from bench.verdict import detectable

GRID = Grid(placements=("standard",), reductions=(4, 16))
(BLOCK,) = plan_blocks(GRID.trials())
LABELS = {"standard-r4": 0.05, "standard-r16": 0.0}


def table(
    *,
    processes: int,
    sd: float,
    control: float = 0.0,
    rounds: tuple[float, ...] = (1.0,),
    apart_s: Callable[[int, int], tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """Of visits of some rounds; r = 4 costs 5 %, r = 16 nothing, the control what is said.

    ``rounds`` is what the trunk's time is multiplied by in each round of a visit,
    ``apart_s`` what host and device take, by the numbers of the visit and of the arm.
    """
    rng = np.random.default_rng(0)
    ledger = Ledger(Planned(trial) for trial in GRID.trials())
    costs = [
        {"trunk": 0.0, "control": control}.get(arm.role, LABELS.get(arm.trial.variant.se.label, 0))
        for arm in BLOCK.arms
    ]
    for number in range(processes):
        name, wrong_by = f"visit {number}", (0.0,) * len(BLOCK.arms)
        block = Block(BLOCK.key, name, name, 0, BLOCK.arms, (), wrong_by, 1, 0.0)
        if apart_s is not None:
            taken = [apart_s(number, place) for place in range(len(BLOCK.arms))]
            host_s, device_s = zip(*taken, strict=True)
            block = replace(block, arm_host_s=host_s, arm_device_s=device_s)
        ledger.add(block)
        times = tuple(
            1 + cost + (rng.normal(0, sd) if place else 0.0) for place, cost in enumerate(costs)
        )
        order = tuple(range(len(BLOCK.arms)))
        for factor in rounds:
            samples = (factor * times[0], *times[1:])
            ledger.add(Round(name, order, samples, 0.0, sum(times), 0, 0.0, 0.0))
    return trials_frame(ledger).set_index("se")


def verdicts(frame: pd.DataFrame) -> dict[str, str]:
    return dict(frame["verdict"].dropna())


def reach(frame: pd.DataFrame) -> dict[str, float]:
    return dict(frame["detectable_pct"].dropna())


def test_verdicts_stand_beside_the_overheads() -> None:
    """What costs 5 % is slower, what costs nothing is not, and the trunk is not judged."""
    frame = table(processes=8, sd=0.002)
    assert verdicts(frame) == {"standard-r16": "not slower", "standard-r4": "slower"}
    assert reach(frame).keys() == {"standard-r16", "standard-r4"}
    assert all(0 < percent < 1 for percent in reach(frame).values())


def test_what_could_have_been_seen_is_that_of_the_whole_table() -> None:
    """Two variants, neither of them slower, are each asked for more than one alone would be."""
    frame = table(processes=8, sd=0.1)
    reach_r4 = reach(frame)["standard-r4"] / 100
    width = (frame["overhead_high_pct"] - frame["overhead_low_pct"])["standard-r4"] / 200
    known = Evidence(1.0, width / float(stdtrit(7, 0.975)), 8)
    assert reach_r4 == pytest.approx(detectable([known, known])[0])
    assert reach_r4 > detectable([known])[0]


def test_what_is_not_known_is_undecided() -> None:
    """Noise, or one process alone, leave the verdict open; one process bounds nothing."""
    noisy = table(processes=8, sd=0.1)
    assert set(verdicts(noisy).values()) == {"undecided"}
    assert reach(noisy)["standard-r4"] > 5
    alone = table(processes=1, sd=0.002)
    assert set(verdicts(alone).values()) == {"undecided"}
    assert reach(alone) == {}
    assert alone["overhead_low_pct"].isna().all()
    assert alone["noise_low_pct"].isna().all()


@pytest.mark.parametrize("control", [0.03, -0.03])
def test_no_difference_counts_where_equal_models_differ(control: float) -> None:
    """A control arm that is not its trunk makes all of its block undecided, whichever its side."""
    frame = table(processes=8, sd=0.002, control=control)
    assert set(verdicts(frame).values()) == {"undecided"}


def test_what_was_measured_in_a_breakdown_alone_is_marked_and_decides_nothing() -> None:
    """The rows say so, however narrow their intervals, and have no rank."""
    frame = table(processes=8, sd=0.0001, rounds=(1.0, 1.0, 0.5, 2.0, 0.4))
    measured = frame.drop("none")
    assert measured["rank"].isna().all()
    assert table(processes=8, sd=0.002).drop("none")["rank"].notna().all()
    assert set(measured["disturbed"]) == {True}
    assert set(verdicts(frame).values()) == {"undecided"}
    assert set(table(processes=8, sd=0.002).drop("none")["disturbed"]) == {False}


def test_host_and_device_are_told_by_their_medians() -> None:
    """Of each arm over all visits; where they were not told apart, they are missing."""
    frame = table(
        processes=3,
        sd=0.002,
        apart_s=lambda visit, arm: (arm + (1.0, 7.0, 2.0)[visit], arm + (0.5, 0.1, 0.2)[visit]),
    )
    trials = [arm.trial.variant.se.label for arm in BLOCK.arms]
    for se in ("standard-r4", "standard-r16"):
        assert frame.loc[se, "host_s"] == 2.0 + trials.index(se)
        assert frame.loc[se, "device_s"] == 0.2 + trials.index(se)
    assert frame.loc["none", "host_s"] == 2.0
    assert table(processes=3, sd=0.002)[["host_s", "device_s"]].isna().all(axis=None)
