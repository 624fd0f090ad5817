"""Comparisons: paired where trials met, refused where nothing would be meant, exact in counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.compare.comparison import (
    TRUNKS_OF_TWO_RUNS,
    TrialComparison,
    compare_runs,
    compare_trials,
    known_trials,
)
from bench.compare.lookup import find_trial
from bench.grid import Grid
from bench.ledger import Ledger
from bench.record import Outcome, Planned, Record, Round
from bench.stats import Evidence, quotient
from bench.trial import Path
from bench.verdict import detectable
from tests.bench.compare.made_up import GRID, environment, records


def compared(made: Sequence[Record], a: str, b: str) -> TrialComparison:
    trials = [record.trial for record in made if isinstance(record, Planned)]
    return compare_trials(Ledger(made), find_trial(trials, a), find_trial(trials, b))


def test_trials_of_a_block_are_paired_and_what_hits_both_cancels() -> None:
    """A variant that takes 1.1 / 1.05 of another's time does so exactly, whatever shook them."""
    made = records({"standard-r4": 0.10}, shared_sd=0.1, own_sd=0.0)
    pair = compared(made, "standard-r2", "standard-r4").pair
    assert pair.time is not None
    assert pair.time.is_paired
    assert pair.time.ratio.estimate == pytest.approx(1.10 / 1.05)
    assert pair.time.ratio.error < 1e-12
    assert (pair.time.rounds, pair.time.processes) == ((54, 54), (6, 6))
    assert pair.verdict == "slower"
    swapped = compared(made, "standard-r4", "standard-r2").pair
    assert swapped.time is not None
    assert swapped.time.ratio.estimate == pytest.approx(1.05 / 1.10)
    assert swapped.verdict == "not slower"


def test_trials_of_two_blocks_are_compared_over_their_own_trunks() -> None:
    """They never met, so what shook each stays, and the errors of both add."""
    made = records({"standard-r128": 0.10}, shared_sd=0.02)
    time = compared(made, "standard-r2", "standard-r128").pair.time
    assert time is not None
    assert not time.is_paired
    ledger = Ledger(made)
    known = [
        ledger.evidence(block, arm)
        for block, planned in ledger.blocks().items()
        for arm in planned.arms
        if arm.trial.variant.se.label in ("standard-r2", "standard-r128")
    ]
    a, b = known
    assert a is not None
    assert b is not None
    assert time.ratio.estimate == pytest.approx(b.estimate / a.estimate)
    relative = math.hypot(a.error / a.estimate, b.error / b.estimate)
    assert time.ratio.error == pytest.approx(time.ratio.estimate * relative)
    assert relative > 0.008


def test_a_trial_against_the_trunk_is_its_overhead() -> None:
    """The trunk rides in every block."""
    made = records({"standard-r128": 0.20}, own_sd=0.0)
    time = compared(made, "none", "standard-r128").pair.time
    assert time is not None
    assert time.is_paired
    assert time.ratio.estimate == pytest.approx(1.2)
    assert time.overheads[0] is None


def test_the_quotient_is_welchs() -> None:
    """Of equal errors the freedoms add; of unequal ones the noisier rules; one process bounds none.

    The third is by hand: (0.01^2 + 0.02^2)^2 / (0.01^4 / 8 + 0.02^4 / 4) = 6.06 degrees, so 6.
    """
    even = quotient(Evidence(2.0, 0.02, 9), Evidence(1.0, 0.01, 9))
    assert even.estimate == 2.0
    assert even.error == pytest.approx(2 * math.hypot(0.01, 0.01))
    assert even.processes == 17
    assert quotient(Evidence(1.0, 0.0001, 9), Evidence(1.0, 0.01, 5)).processes == 5
    assert quotient(Evidence(1.0, 0.01, 9), Evidence(1.0, 0.02, 5)).processes == 7
    assert quotient(Evidence(1.0, 0.0, 3), Evidence(1.0, 0.0, 4)) == Evidence(1.0, 0.0, 6)
    assert quotient(Evidence(1.2, 0.1, 9), Evidence(1.0, math.inf, 1)) == Evidence(1.2, math.inf, 1)


def test_intervals_of_quotients_cover_what_they_say() -> None:
    """Of 2,000 intervals from 8 and 4 unlike processes, 94 to 97.5 % hold the truth."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(2000):
        noisy, calm = 1.1 + rng.normal(0, 0.03, 8), 1.0 + rng.normal(0, 0.01, 4)
        a, b = (
            Evidence(float(v.mean()), float(v.std(ddof=1) / math.sqrt(len(v))), len(v))
            for v in (noisy, calm)
        )
        covered += quotient(a, b).interval().covers(1.1)
    assert 0.94 <= covered / 2000 <= 0.975


def test_one_trial_twice_is_no_comparison() -> None:
    """However it is named."""
    with pytest.raises(ValueError, match=r"must be two trials, got resnet18/.* twice"):
        compared(records({}), "standard-r2", "resnet18/standard-r2")


def test_what_was_not_measured_says_why_and_keeps_its_counts() -> None:
    """A failure is named; the counts of both are still there."""
    trials = GRID.trials()
    made: list[Record] = [record for record in records({}) if not isinstance(record, Round)]
    made.append(Outcome(trials[1], "latency", "oom", "no room"))
    comparison = compared(made, "standard-r2", "standard-r4")
    assert comparison.refusal is None
    assert comparison.pair.reason == "standard-r2 was not measured (oom: no room)"
    assert comparison.pair.counts[0].before == 1000
    rest = compared(made, "standard-r4", "standard-r8").pair
    assert rest.reason == "standard-r4 was not measured"


@pytest.mark.parametrize("pair", [("standard-r2", "standard-r4"), ("standard-r2", "standard-r128")])
def test_nothing_is_decided_where_equal_models_differ(pair: tuple[str, str]) -> None:
    """As in the table: a control that is not its trunk leaves its block undecided, and is named."""
    made = records({"standard-r4": 0.2, "standard-r128": 0.2}, control=0.03)
    found = compared(made, *pair).pair
    assert found.verdict == "undecided"
    assert found.time is not None
    assert "control arm differs from the trunk" in str(found.time.doubt)


def test_two_runs_are_compared_by_their_overheads() -> None:
    """A change of 1.10 / 1.05 in one variant is found, and no other; the trunk has no change."""
    before = Ledger(records({}, seed=1))
    after = Ledger(records({"standard-r4": 0.10}, seed=2))
    pairs = {pair.b.variant.se.label: pair for pair in compare_runs(before, after).pairs}
    verdicts = {label: pair.verdict for label, pair in pairs.items()}
    assert verdicts.pop("none") is None
    assert pairs["none"].reason == TRUNKS_OF_TWO_RUNS
    assert verdicts.pop("standard-r4") == "slower"
    assert set(verdicts.values()) == {"not slower"}
    time = pairs["standard-r4"].time
    assert time is not None
    assert not time.is_paired
    assert time.ratio.estimate == pytest.approx(1.10 / 1.05, abs=0.001)


def test_what_could_have_been_seen_depends_on_how_many_are_compared() -> None:
    """Of two runs all pairs are judged together, so each asks for more than a pair alone."""
    before, after = (Ledger(records({}, own_sd=0.03, seed=seed)) for seed in (1, 2))
    pairs = compare_runs(before, after).pairs
    ratios = [pair.time.ratio for pair in pairs if pair.time is not None]
    reach = [pair.detectable for pair in pairs if pair.detectable is not None]
    assert reach == detectable(ratios)
    assert all(each > detectable([ratio])[0] for each, ratio in zip(reach, ratios, strict=True))
    alone = compared(records({}, own_sd=0.03), "standard-r2", "standard-r4").pair
    assert alone.time is not None
    assert [alone.detectable] == detectable([alone.time.ratio])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpus": 4}, "cpus was 2, is 4"),
        ({"packages": {"torch": "2.10"}}, "packages was {'torch': '2.9'}, is {'torch': '2.10'}"),
        ({"openmp": {"OMP_WAIT_POLICY": "PASSIVE"}}, "openmp was {}, is {'OMP_WAIT_POLICY'"),
        ({"torch": "2.10"}, "torch was '2.9', is '2.10'"),
        ({"cpu_capability": "AVX512"}, "cpu_capability was 'AVX2', is 'AVX512'"),
        ({"tf32_cudnn": False}, "tf32_cudnn was True, is False"),
        ({"allocator": "kept"}, "allocator was 'default', is 'kept'"),
    ],
)
def test_runs_of_two_environments_are_refused(change: dict[str, Any], message: str) -> None:
    """Whichever worker it was; the reason names the field and both values, from A to B."""
    a = Ledger(records({}))
    b = Ledger(records({}, environments=(environment(), environment(**change))))
    with pytest.raises(ValueError, match="within one environment only") as refused:
        compare_runs(a, b)
    assert message in str(refused.value)
    assert compare_runs(a, Ledger(records({}, environments=(environment(fingerprint="b"),)))).pairs
    with pytest.raises(ValueError, match="B must hold measurements"):
        compare_runs(a, Ledger())


def test_a_trial_that_one_run_could_not_measure_keeps_its_row() -> None:
    """With the reason, and with the run that lacks it; the others are judged without it."""
    whole = records({}, grid=replace(GRID, reductions=(2, 128)))
    lost = replace(GRID, reductions=(128,)).trials()[1]
    made = [*records({}, grid=replace(GRID, reductions=(2,))), Planned(lost)]
    made.append(Outcome(lost, "latency", "crashed", "killed"))
    pairs = compare_runs(Ledger(whole), Ledger(made)).pairs
    assert {pair.b.variant.se.label: (pair.reason, pair.verdict) for pair in pairs} == {
        "none": (TRUNKS_OF_TWO_RUNS, None),
        "standard-r2": (None, "not slower"),
        "standard-r128": ("in B standard-r128 was not measured (crashed: killed)", None),
    }


def test_trials_that_only_rode_are_known() -> None:
    """A file without plans names its trials all the same, each once, in the order of the block."""
    made = [record for record in records({}) if not isinstance(record, Planned)]
    assert known_trials(Ledger(made)) == GRID.trials()
    assert known_trials(Ledger(records({}))) == GRID.trials()


def test_the_eager_trunk_beside_another_path_is_no_trial_of_the_run() -> None:
    """It rides along, and was not measured against a control of its own."""
    grid = Grid(placements=("standard",), reductions=(4,), paths=(Path("fused"),))
    assert known_trials(Ledger(records({}, grid=grid))) == grid.trials()


def test_what_does_not_call_operators_has_no_count_of_them() -> None:
    """Of a runtime's trials parameters and arithmetic are compared, and nothing that it changes."""
    grid = Grid(placements=("standard",), reductions=(4,), paths=(Path(executor="onnxruntime"),))
    known = {
        count.name
        for count in compared(records({}, grid=grid), "none", "standard-r4").pair.counts
        if count.before is not None
    }
    assert known == {"params", "se_params", "macs", "elementwise_ops"}
