"""Intervals of paired ratios: exact where they can be, honest about processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.stats import Evidence, Interval, evidence, ranks, spread

ratios = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0.5, 2.0))


def interval_of_medians(processes: list[np.ndarray]) -> Interval | None:
    known = evidence(processes)
    return None if known is None else known.interval()


def test_nothing_measured_has_no_interval() -> None:
    """No values give None, not a number."""
    assert interval_of_medians([]) is None
    assert interval_of_medians([np.empty(0)]) is None


def test_one_process_bounds_nothing() -> None:
    """However many its rounds: nobody knows what the next process would say."""
    interval = interval_of_medians([np.linspace(1.0, 1.2, 101), np.empty(0)])
    assert interval is not None
    assert interval.estimate == pytest.approx(1.1)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert not interval.is_bounded


def test_the_interval_is_students() -> None:
    """Of the medians 1, 2 and 6: their mean 3, and 4.303 (t of 2 degrees) standard errors."""
    processes = [np.array([0.0, 1.0, 9.0]), np.array([2.0]), np.array([6.0, 6.0])]
    interval = interval_of_medians(processes)
    assert interval is not None
    assert interval.estimate == pytest.approx(3.0)
    assert interval.half_width == pytest.approx(4.30265 * math.sqrt(7 / 3), rel=1e-5)


@given(st.lists(ratios, min_size=2, max_size=6), st.floats(0.1, 10.0))
@settings(max_examples=50, deadline=None)
def test_the_interval_scales_with_the_values(processes: list[np.ndarray], factor: float) -> None:
    """Units do not matter."""
    one = interval_of_medians(processes)
    other = interval_of_medians([factor * values for values in processes])
    assert one is not None
    assert other is not None
    assert other.estimate == pytest.approx(factor * one.estimate)
    assert other.half_width == pytest.approx(factor * one.half_width, abs=1e-12)


def test_processes_that_disagree_widen_the_interval_rounds_cannot_narrow() -> None:
    """A thousand rounds of three processes know three processes, not a thousand."""
    rng = np.random.default_rng(0)
    few, many = (
        interval_of_medians([shift + rng.normal(0, 0.001, rounds) for shift in (0.98, 1.0, 1.02)])
        for rounds in (30, 3000)
    )
    assert few is not None
    assert many is not None
    assert many.half_width > 0.04
    assert many.half_width == pytest.approx(few.half_width, rel=0.05)


@pytest.mark.parametrize("between", [0.0, 0.012])
def test_intervals_cover_what_they_say(between: float) -> None:
    """Of 2,000 intervals from 8 processes, their rounds heavy-tailed, 93 to 97 % hold the truth."""
    rng = np.random.default_rng(1)
    runs, covered = 2000, 0
    for _ in range(runs):
        shifts = 1.05 + rng.normal(0, between, 8)
        interval = interval_of_medians([s + 0.03 * rng.standard_t(3, 25) for s in shifts])
        assert interval is not None
        covered += interval.covers(1.05)
    assert 0.93 <= covered / runs <= 0.97


def test_p_values_are_students() -> None:
    """Three standard errors above 1, from 5 processes: 0.020 above it, and 0.980 below it."""
    known = Evidence(1.03, 0.01, 5)
    assert known.p_above(1.0) == pytest.approx(0.019971, abs=1e-6)
    assert known.p_below(1.0) == pytest.approx(1 - 0.019971, abs=1e-6)
    assert Evidence(1.03, math.inf, 1).p_above(1.0) == 1.0
    assert Evidence(1.03, 0.0, 5).p_above(1.0) == 0.0
    assert Evidence(1.0, 0.0, 5).p_above(1.0) == 1.0


def test_what_is_called_detectable_is_detected_as_often_as_said() -> None:
    """At that distance from 1, eight of ten measurements from 8 processes have so low a p."""
    rng = np.random.default_rng(4)
    alpha, power, sd, runs = 0.005, 0.8, 0.01, 4000
    distance = Evidence(1.0, sd / math.sqrt(8), 8).detectable(alpha, power)
    medians = 1 + distance + rng.normal(0, sd, (runs, 8))
    errors = medians.std(axis=1, ddof=1) / math.sqrt(8)
    found = [
        Evidence(float(m), float(e), 8).p_above(1.0) <= alpha
        for m, e in zip(medians.mean(axis=1), errors, strict=True)
    ]
    assert 0.785 <= np.mean(found) <= 0.815
    assert Evidence(1.0, math.inf, 1).detectable(alpha, power) == math.inf


def test_spread_is_the_standard_deviation_of_normal_values_and_ignores_an_outlier() -> None:
    """A single stalled round does not inflate the noise floor."""
    values = np.random.default_rng(2).normal(1, 0.02, 2000)
    values[0] = 100.0
    assert spread(values) == pytest.approx(0.02, rel=0.1)
    assert spread(values[:1]) is None


def test_what_does_not_differ_shares_a_rank() -> None:
    """Ties are with the first of a group, and the next rank counts those before it."""
    estimates = [0.05, 0.02, 0.025, 0.20]
    alike = {frozenset((1, 2))}

    def differ(one: int, other: int) -> bool:
        return frozenset((one, other)) not in alike

    assert ranks(estimates, differ) == ["3", "1=", "1=", "4"]
    assert ranks([], differ) == []


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0, 0.5))
def test_a_smaller_overhead_never_ranks_behind_a_larger_one(
    estimates: list[float], least: float
) -> None:
    """Ranks follow the estimates, and all of a rank are alike with its first."""

    def differ(one: int, other: int) -> bool:
        return abs(estimates[one] - estimates[other]) > least

    found = ranks(estimates, differ)
    by_estimate = sorted(range(len(estimates)), key=lambda index: estimates[index])
    numbers = [int(found[index].rstrip("=")) for index in by_estimate]
    assert numbers == sorted(numbers)
    assert all(found.count(rank) > 1 for rank in found if rank.endswith("="))
