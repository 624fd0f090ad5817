"""The proof counts what it says, on recordings whose numbers are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.method.comparisons import (
    METHODS,
    SUITE,
    comparisons,
    complete_sets,
    is_disturbed,
    rival_says,
    suite_judges,
    suite_says,
)
from bench.method.lines import Paired
from bench.method.proof import proof, spread_over
from bench.method.proof_report import markdown
from bench.method.recording import Recording
from bench.method.rivals import RIVALS, TIMM
from bench.method.shares import share
from tests.bench.method.made_up import APART, JITTER, OFF, TRUE, paired, recording

APARTS = (0.001, 0.002, -0.001, 0.004, 0.003)


def rows(frame: pd.DataFrame, method: str, slowed_pct: float) -> pd.Series:
    found = frame[(frame["method"] == method) & (frame["slowed_pct"] == slowed_pct)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_method_is_told_of_every_slowdown() -> None:
    """A row each; equal models share one, and each of them counts."""
    frame = proof([recording(TRUE, OFF)])
    assert len(frame) == len(METHODS) * 3
    assert set(frame["n"]) == {4, 2}
    assert rows(frame, SUITE, 0.0)["n"] == 4
    assert set(frame["processes"]) == {2}
    assert set(frame["comparison_s"]) == {5.0}


def test_this_suite_is_judged_by_its_verdicts() -> None:
    """Two processes tell 1 % from 0, and neither from 0.2 %."""
    frame = proof([recording(TRUE, OFF)])
    equal = rows(frame, SUITE, 0.0)
    assert (equal["slower"], equal["not_slower"]) == (0, 4)
    assert equal["not_slower_share"] == 1.0
    assert pd.isna(equal["gated_share"])
    assert equal["sd_pct"] == pytest.approx(100 * np.std([0, 0, 0.002, -0.002], ddof=1), rel=1e-3)
    assert equal["covered"] == 2  # 0.2 % off by more than the processes differ
    slowed = rows(frame, SUITE, 1.0)
    assert slowed["slower"] == 2
    assert slowed["mean_pct"] == pytest.approx(1.2, abs=1e-4)
    # Student's of one degree reaches 12.7 standard errors.
    assert slowed["half_width_pct"] == pytest.approx(100 * 12.7062 * APART, rel=1e-2)


def test_an_arm_is_not_judged_beside_equal_models_that_differ() -> None:
    """Its control is an equal model, not itself: where that one is off, nothing is decided."""
    off = ((0.0, 0.05, 0.05, 0.05), TRUE[1])
    frame = proof([recording(off)])
    equal = comparisons(recording(off))
    verdicts = {
        row["arm"]: (row["slower"], row["not_slower"])
        for _, row in equal[equal["method"] == SUITE].iterrows()
    }
    # The second arm's control is the first, which is as it should be.
    assert verdicts == {1: (False, False), 2: (True, False), 3: (True, False), 4: (True, False)}
    assert rows(frame, SUITE, 0.0)["slower"] == 1


def test_processes_in_a_breakdown_are_set_aside() -> None:
    """As long as two others are left, as a run does."""
    content = recording(TRUE, TRUE)
    broken = paired(0, 0, 0.3, 0.3, 0.3, 0.3, shaken=0.5)
    lines = tuple(
        broken if isinstance(line, Paired) and (line.set, line.process) == (0, 0) else line
        for line in content.lines
    )
    sets = complete_sets(Recording(content.header, lines))
    assert suite_says(sets, 3).estimate == pytest.approx(1.011, abs=1e-4)
    assert suite_says(sets[:1], 3).estimate > 1.1


def test_a_comparison_in_a_breakdown_is_marked_and_decides_nothing() -> None:
    """All its processes are counted, and what they say is in no spread but that of all."""
    content = recording(TRUE, TRUE, TRUE)
    lines = tuple(
        paired(0, line.process, 0.3, 0.3, 0.3, 0.3, shaken=0.5)
        if isinstance(line, Paired) and line.set == 0
        else line
        for line in content.lines
    )
    broken = Recording(content.header, lines)
    sets = complete_sets(broken)
    assert [is_disturbed([one]) for one in sets] == [True, False, False]
    assert [is_disturbed(sets[:2]), is_disturbed(sets)] == [False, False]
    assert suite_judges(sets[:1], 4, (1, 2)) == "undecided"
    assert suite_judges(sets[1:2], 4, (1, 2)) == "slower"
    equal, five = (rows(proof([broken]), SUITE, slowed) for slowed in (0.0, 5.0))
    assert (equal["n"], equal["disturbed"]) == (6, 2)
    assert equal["sd_pct"] == pytest.approx(0.0, abs=1e-6)
    assert equal["sd_of_all_pct"] > 10
    assert (five["n"], five["slower"]) == (3, 2)


def test_a_comparison_is_alarmed_once_for_all_its_equal_models() -> None:
    """They share a trunk; both of its equal models are called slower in the second."""
    frame = proof([recording(TRUE, ((0.02, 0.03, 0.01, 0.05), TRUE[1]))])
    equal = rows(frame, SUITE, 0.0)
    # The control is an equal model too, so that none of them is decided.
    assert (equal["slower"], equal["alarmed"]) == (0, 0)
    frame = proof([recording(TRUE, ((0.0, 0.05, 0.01, 0.05), TRUE[1]))])
    equal = rows(frame, SUITE, 0.0)
    assert (equal["n"], equal["slower"], equal["alarmed"]) == (4, 1, 1)
    assert equal["alarmed_share"] == 0.5


def test_rivals_are_judged_by_margin_and_gate() -> None:
    """A bare ratio beyond 1 %, and beyond 5 %; and by this suite's rule, on what they print."""
    frame = proof([recording(TRUE, OFF)])
    for rival in RIVALS:
        equal, one, five = (rows(frame, rival, slowed) for slowed in (0.0, 1.0, 5.0))
        assert (equal["beyond_margin"], equal["gated"]) == (1, 0)
        assert (one["beyond_margin"], one["gated"]) == (1, 0)
        assert (five["beyond_margin"], five["gated"]) == (2, 1)  # 1.05 is not beyond 5 %
        assert equal["sd_pct"] == pytest.approx(100 * np.std([1, 1, 1.02, 0.9], ddof=1), rel=1e-3)
    # Errors of 1.5 %: 5 % is more than twice that, 2 % is not.
    printed = rows(frame, RIVALS[0], 0.0), rows(frame, RIVALS[0], 5.0)
    assert [row["slower"] for row in printed] == [0, 2]
    assert rows(frame, TIMM, 5.0)["slower"] == 0  # one run of it tells no error


def test_comparisons_side_by_side_are_told_apart() -> None:
    """Of the equal models the second ran next to the trunk: 0 and 10 % off."""
    frame = proof([recording(TRUE, OFF)])
    equal = rows(frame, RIVALS[0], 0.0)
    assert equal["adjacent"] == 2
    assert equal["adjacent_sd_pct"] == pytest.approx(100 * np.std([1, 0.9], ddof=1))
    assert (rows(frame, RIVALS[0], 1.0)["adjacent"], rows(frame, RIVALS[0], 5.0)["adjacent"]) == (
        2,
        0,
    )
    assert pd.isna(rows(frame, SUITE, 0.0)["adjacent_sd_pct"])


def test_rivals_cover_by_the_errors_they_print() -> None:
    """Two errors of 1 % make 1.5 %: 2 % off is covered, 10 % is not."""
    frame = proof([recording(TRUE, OFF)])
    equal, five = rows(frame, RIVALS[0], 0.0), rows(frame, RIVALS[0], 5.0)
    assert (equal["covered"], equal["intervals"], equal["covered_share"]) == (3, 4, 0.75)
    assert (five["covered"], five["intervals"]) == (1, 2)
    reach = 1.9845  # Student's, of 98 degrees
    error = 1.25 * JITTER / (1.35 * math.sqrt(50))
    expected = 100 * reach * error * math.sqrt(2) * np.mean([1, 1, 1.02, 0.9])
    assert equal["half_width_pct"] == pytest.approx(expected, rel=1e-3)


def test_the_truth_is_what_its_own_processes_say() -> None:
    """With its interval; equal models are equal by construction."""
    frame = proof([recording(TRUE)])
    one = rows(frame, SUITE, 1.0)
    assert one["truth_pct"] == pytest.approx(1.1, abs=1e-4)
    assert one["truth_high_pct"] - one["truth_pct"] == pytest.approx(12.7062 * 0.1, rel=1e-2)
    equal = rows(frame, SUITE, 0.0)
    assert (equal["truth_pct"], equal["truth_low_pct"], equal["truth_high_pct"]) == (0, 0, 0)
    content = recording(TRUE)
    unknown = proof([Recording(content.header, content.lines[2:])])
    assert pd.isna(rows(unknown, SUITE, 1.0)["truth_pct"])
    assert pd.isna(rows(unknown, SUITE, 1.0)["covered_share"])
    assert rows(unknown, SUITE, 0.0)["covered_share"] == 1.0


def test_shares_have_their_exact_interval() -> None:
    """None of 20: up to 1 - 0.025 ** (1 / 20), by Clopper and Pearson."""
    none = share(0, 20)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_sets_make_longer_comparisons() -> None:
    """All their processes together, and means of the rivals' times; a rest is left out."""
    content = recording(TRUE, OFF, TRUE)
    frame = proof([content], (10.0,))
    assert sorted(set(frame["comparison_s"])) == [5.0, 10.0]
    longer = frame[frame["comparison_s"] == 10.0]
    assert set(longer["processes"]) == {4}
    assert set(longer["n"]) == {1, 2}
    assert rows(longer, RIVALS[1], 5.0)["mean_pct"] == pytest.approx(12.5, abs=1e-3)
    known = suite_says(complete_sets(content)[:2], 3)
    assert known.processes == 4
    assert known.estimate == pytest.approx(1.012, abs=1e-6)
    assert rows(longer, SUITE, 1.0)["mean_pct"] == pytest.approx(1.2, abs=1e-4)
    assert set(proof([content], (20.0,))["comparison_s"]) == {5.0}


def test_of_several_sets_their_scatter_is_the_error() -> None:
    """Whatever a rival prints in each: what moves a process is in none of its own errors."""
    sets = complete_sets(recording(TRUE, OFF, TRUE))
    known = rival_says(sets, RIVALS[0], 2)
    assert known.estimate == pytest.approx(np.mean([1.0, 0.9, 1.0]))
    assert known.error == pytest.approx(np.std([1.0, 0.9, 1.0], ddof=1) / math.sqrt(3))
    assert known.processes == 3


def test_a_rival_without_an_error_has_no_interval() -> None:
    """It counts among comparisons, and not among intervals."""
    frame = proof([recording(TRUE)])
    row = rows(frame, TIMM, 0.0)
    assert (row["n"], row["intervals"]) == (2, 0)
    assert pd.isna(row["covered_share"])
    assert "nan" not in markdown(frame).lower()


def test_time_is_told_with_starting() -> None:
    """What a comparison took of the wall, by each method; starting is shared out evenly."""
    frame = proof([recording(TRUE, OFF)], (10.0,))
    ours = rows(frame[frame["comparison_s"] == 5.0], SUITE, 0.0)
    theirs = rows(frame[frame["comparison_s"] == 10.0], TIMM, 0.0)
    assert ours["inside_all_pct"] < ours["inside_pct"]
    assert ours["even_spread_over_suite"] == pytest.approx(
        ours["spread_over_suite"] / math.sqrt(20 / 15)
    )
    assert ours["wall_s"] == 2 * (1.0 + 9.0)
    assert theirs["wall_s"] == 2 * (1.0 + 14.0)
    assert "5 s took 20 s by this suite, 15 s by the others" in markdown(frame)


def test_a_set_cut_short_is_no_comparison() -> None:
    """Whether a process in rounds or the one in sequence is missing."""
    content = recording(TRUE, OFF)
    for missing in (-1, -2):
        lines = list(content.lines)
        del lines[missing]
        assert len(complete_sets(Recording(content.header, tuple(lines)))) == 1
    alone = Recording(content.header, (paired(0, 0, 0.0, 0.0, 0.01, 0.05),))
    assert comparisons(alone).empty
    assert proof([alone]).empty


def test_the_best_rival_is_compared_in_spread() -> None:
    """Twice as far as this suite; every rival's own times are in its row."""
    ours = np.array([[0.99, 1.01]] * 8)
    rivals = np.stack([1 + 2 * (ours - 1), 1 + 9 * (ours - 1)])
    found = spread_over(rivals, ours)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    theirs = np.random.default_rng(1).normal(1, 0.02, (2, 30, 2))
    theirs[:, ::2, 1] = np.nan  # of those that did not run side by side
    noisy = spread_over(theirs, np.random.default_rng(2).normal(1, 0.01, (30, 2)))
    assert 1.1 < noisy.low < noisy.estimate < noisy.high < 3.0
    assert not spread_over(rivals[:, :3], ours[:3]).is_bounded
    sets = [((a, -a, 0.01, 0.05), (1.0, 1 + 3 * a, 1 - 3 * a, 1.01, 1.05))
            for a in APARTS]  # fmt: skip
    frame = proof([recording(*sets)])
    times = [rows(frame, method, 0.0)["spread_over_suite"] for method in METHODS]
    assert times == pytest.approx([3.0] * 4, rel=1e-3)
    # Next to the trunk ran the second of the equal models alone.
    assert rows(frame, SUITE, 0.0)["adjacent_spread_over_suite"] == pytest.approx(
        3 * np.std(APARTS, ddof=1) / np.std([(a, -a) for a in APARTS], ddof=1), rel=1e-3
    )
    assert pd.isna(rows(frame, SUITE, 1.0)["spread_over_suite"])
