"""Verdicts: what is beyond doubt is said, the rest is undecided, and a grid raises no alarm."""

from __future__ import annotations

import math

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
    """From 8 processes with an error of 1 %, a slowdown of 4.4 %; and that is called slower."""
    known = Evidence(1.0, 0.01, 8)
    assert detectable(known) == pytest.approx(0.0440, abs=1e-4)
    assert judge([Evidence(1 + detectable(known), 0.01, 8)]) == ["slower"]
    assert FALSE_DISCOVERY_RATE < MARGIN
