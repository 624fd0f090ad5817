"""Verdicts on made-up triples, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gate.judgement import THRESHOLD, Known, Verdict, detectable, distrusted, judge
from bench.stats import Array


def triples(
    change: float = 0.0,
    *,
    count: int = 5,
    noise: float = 0.002,
    control: float = 0.0,
    seed: int = 0,
) -> list[Array]:
    """Rounds of (base, head, control) by processes that have an effect of their own."""
    rng = np.random.default_rng(seed)
    truth = np.array([1.0, 1.0 + change, 1.0 + control])
    return [
        0.03 * truth * rng.lognormal(0, noise, 3) * rng.lognormal(0, 0.02, (40, 3))
        for _ in range(count)
    ]


def verdict(change: float, **settings: float | int) -> Verdict:
    return judge([Known.of(triples(change, **settings))], THRESHOLD)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.05, "regressed"), (0.0, "unchanged"), (-0.05, "improved"), (0.3, "regressed")],
)
def test_a_change_is_called_what_it_is(change: float, expected: Verdict) -> None:
    """By five triples of quiet processes."""
    assert verdict(change) == expected


def test_a_change_below_the_threshold_fails_nothing() -> None:
    """However sure it is."""
    assert verdict(0.01, count=20, noise=0.0) == "unchanged"


def test_noise_is_undecided() -> None:
    """Processes that differ by as much as would count say nothing of a change."""
    assert verdict(0.03, count=3, noise=0.03) == "undecided"
    assert verdict(0.05, count=2) == "undecided"


def test_head_is_held_against_both_of_the_base() -> None:
    """By their geometric mean, so that neither is favoured."""
    times = np.array([[1.0, 2.0, 4.0]] * 3)
    known = Known.of([times, times])
    assert known.change.estimate == pytest.approx(1.0)
    assert known.control.estimate == pytest.approx(4.0)


def test_a_base_that_differs_from_itself_is_not_trusted() -> None:
    """Then the machine decides by process, and no verdict stands."""
    known = Known.of(triples(0.05, control=0.05))
    assert distrusted(known, THRESHOLD)
    assert judge([known], THRESHOLD) == ["undecided"]
    assert not distrusted(Known.of(triples(0.05)), THRESHOLD)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_grid_of_equal_variants_has_no_regression(seed: int) -> None:
    """By chance alone one must be slower by 2 % and beyond doubt, as processes usually differ."""
    known = [Known.of(triples(count=3, noise=0.004, seed=seed + n)) for n in range(7)]
    assert "regressed" not in judge(known, THRESHOLD)


def test_company_asks_for_more() -> None:
    """What could have been seen among many is larger than alone; of one triple, nothing."""
    alone = [Known.of(triples())]
    assert detectable(alone)[0] < detectable(alone * 10)[0]
    assert detectable([Known.of(triples(count=1))]) == [np.inf]
