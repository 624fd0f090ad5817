"""Intervals of paired ratios: exact where they can be, honest about processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.stats import Interval, bootstrap_median, ranks, spread

ratios = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0.5, 2.0))


def test_nothing_measured_has_no_interval() -> None:
    """No values give None, not a number."""
    assert bootstrap_median([]) is None
    assert bootstrap_median([np.empty(0)]) is None


@given(st.lists(ratios, min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_estimate_is_the_median_and_lies_within_what_was_seen(
    processes: list[np.ndarray],
) -> None:
    """The interval's ends are medians of draws, so they lie between the extremes."""
    interval = bootstrap_median(processes, resamples=200)
    assert interval is not None
    values = np.concatenate(processes)
    assert interval.estimate == np.median(values)
    assert values.min() <= interval.low <= interval.high <= values.max()
    assert interval == bootstrap_median(processes, resamples=200)


@given(ratios, st.floats(0.1, 10.0))
@settings(max_examples=25, deadline=None)
def test_the_interval_scales_with_the_values(values: np.ndarray, factor: float) -> None:
    """Units do not matter."""
    one = bootstrap_median([values, values[::-1]], resamples=100)
    other = bootstrap_median([factor * values, factor * values[::-1]], resamples=100)
    assert one is not None
    assert other is not None
    assert other.low == pytest.approx(factor * one.low)
    assert other.high == pytest.approx(factor * one.high)


def test_processes_that_disagree_widen_the_interval_rounds_cannot_narrow() -> None:
    """A thousand rounds of three processes know three processes, not a thousand."""
    rng = np.random.default_rng(0)
    shifts = (0.98, 1.0, 1.02)
    processes = [shift + rng.normal(0, 0.001, 1000) for shift in shifts]
    pooled = bootstrap_median([np.concatenate(processes)])
    by_process = bootstrap_median(processes)
    assert pooled is not None
    assert by_process is not None
    assert by_process.half_width > 0.015
    assert by_process.half_width > 3 * pooled.half_width


def test_processes_of_unequal_length_are_drawn_whole() -> None:
    """With one value per process throughout, the draws are medians of those values."""
    interval = bootstrap_median([np.full(3, 1.0), np.full(40, 2.0)], resamples=500)
    assert interval == Interval(2.0, 1.0, 2.0)


def test_a_bootstrap_of_very_many_rounds_is_drawn_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its memory is bounded, and its interval is that of one large draw but for the draws."""
    rng = np.random.default_rng(3)
    processes = [1.05 + rng.normal(0, 0.02, 300) for _ in range(5)]
    at_once = bootstrap_median(processes, resamples=2000)
    monkeypatch.setattr("bench.stats.DRAWN_AT_ONCE", 10_000)
    in_parts = bootstrap_median(processes, resamples=2000)
    assert at_once is not None
    assert in_parts is not None
    assert in_parts.estimate == at_once.estimate
    assert in_parts.half_width == pytest.approx(at_once.half_width, rel=0.1)


@pytest.mark.slow
def test_five_processes_cover_about_what_the_docs_say() -> None:
    """A nominal 95 % interval from 5 processes covers the truth in 90 to 96 % of runs."""
    rng = np.random.default_rng(1)
    runs, covered = 400, 0
    for _ in range(runs):
        processes = [1.05 + rng.normal(0, 0.0075) + rng.normal(0, 0.015, 50) for _ in range(5)]
        interval = bootstrap_median(processes, resamples=400)
        assert interval is not None
        covered += interval.covers(1.05)
    assert 0.85 <= covered / runs <= 0.97


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
