"""Verdicts: what is beyond doubt is said, the rest is undecided, and a grid raises no alarm."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import Evidence, evidence
from bench.verdict import FALSE_DISCOVERY_RATE, MARGIN, detectable, judge

ratios = st.builds(Evidence, st.floats(0.8, 1.2), st.floats(1e-6, 0.1), st.integers(2, 12))


@pytest.mark.parametrize(
    ("overhead", "error", "processes", "verdict"),
    [
        (0.05, 0.005, 8, "slower"),
        (0.005, 0.0005, 8, "slower"),  # though below the margin: it is beyond doubt above 0
        (0.0, 0.002, 8, "not slower"),
        (-0.05, 0.005, 8, "not slower"),
        (0.0, 0.005, 8, "undecided"),
        (0.02, 0.02, 8, "undecided"),
        (0.05, 0.005, 2, "undecided"),
        (0.05, math.inf, 1, "undecided"),
    ],
)
def test_a_verdict_says_what_is_beyond_doubt(
    overhead: float, error: float, processes: int, verdict: str
) -> None:
    """Far above 0 against its error is slower, far below the margin is not, few processes doubt."""
    assert judge([Evidence(1 + overhead, error, processes)]) == [verdict]


def test_nothing_to_judge_is_no_error() -> None:
    """An empty grid has no verdicts."""
    assert judge([]) == []


@given(st.lists(ratios, min_size=1, max_size=8), st.integers(0, 200))
def test_company_only_makes_a_verdict_more_careful(known: list[Evidence], more: int) -> None:
    """What was undecided alone stays so in a grid of many that are as they should be."""
    many = judge([*known, *[Evidence(1.0, 0.05, 8)] * more])
    for alone, together in zip((judge([each])[0] for each in known), many, strict=False):
        assert together in (alone, "undecided") or alone == "slower"


def test_a_grid_of_equal_models_raises_hardly_any_alarm() -> None:
    """Of 300 grids of 34 variants that cost nothing, at most one in fifty calls any slower."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        grid = [evidence(list(1 + rng.normal(0, 0.02, (8, 1)))) for _ in range(34)]
        alarms += "slower" in judge([each for each in grid if each is not None])
    assert alarms / 300 <= 0.02


def test_what_could_have_been_seen_is_said_with_the_verdict() -> None:
    """From 8 processes with an error of 1 %, a slowdown of 4.5 %; and that is called slower."""
    known = Evidence(1.0, 0.01, 8)
    (alone,) = detectable([known])
    assert alone == pytest.approx(0.0451, abs=1e-4)
    assert judge([Evidence(1 + alone, 0.01, 8)]) == ["slower"]
    assert detectable([Evidence(1.0, math.inf, 1)]) == [math.inf]
    assert detectable([]) == []
    assert FALSE_DISCOVERY_RATE < MARGIN


@pytest.mark.parametrize("slow", [1, 20])
def test_of_a_grid_what_is_called_detectable_is_found_as_often_as_said(slow: int) -> None:
    """Eight of ten times, be it the only one of 34 variants that is slower or one of twenty."""
    rng, sd, runs = np.random.default_rng(11), 0.02, 1500
    costs = np.zeros(34)
    costs[1:slow] = 1.0  # beyond doubt
    reach = detectable([Evidence(1 + cost, sd / math.sqrt(8), 8) for cost in costs])
    costs[0] = reach[0]
    medians = 1 + costs[:, None] + rng.normal(0, sd, (runs, 34, 8))
    errors = medians.std(axis=2, ddof=1) / math.sqrt(8)
    found = 0
    for estimates, of_each in zip(medians.mean(axis=2), errors, strict=True):
        known = [Evidence(e, error, 8) for e, error in zip(estimates, of_each, strict=True)]
        found += judge(known)[0] == "slower"
    assert 0.77 <= found / runs <= 0.83


def test_the_fewer_of_a_grid_are_slower_the_more_it_takes_to_be_found() -> None:
    """Alone in a grid of 34 nearly twice as much as alone at all; in slow company as little."""
    known, slow = Evidence(1.0, 0.01, 8), Evidence(1.5, 0.01, 8)
    (alone,) = detectable([known])
    reach = [detectable([known, *[slow] * count, *[known] * (33 - count)]) for count in range(34)]
    assert reach[0][0] > 1.7 * alone
    assert all(one[0] > more[0] for one, more in pairwise(reach))
    assert reach[-1][0] == pytest.approx(alone)
