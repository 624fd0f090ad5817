"""Each way of making intervals, where its interval is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.method.intervals import (
    CANDIDATES,
    IN_USE,
    Candidate,
    bootstrap,
    expanded_bootstrap,
    random_effects,
    student,
)
from bench.method.noise import NOISES, Noise, ratios
from bench.method.resampling import median_at_most, percentiles
from bench.stats import Array, evidence

T_2 = 4.302653  # Student's, of 2 degrees, at 97.5 %
# Three processes whose medians are 2, 3 and 7; none scatters more than the others.
EQUAL = np.array([[[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0]]])


def test_a_resampled_median_of_three_single_rounds_is_known() -> None:
    """At most the least: two or three draws of it, 7 of 27; at most the second: 20 of 27."""
    below = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert median_at_most(below, 1) == pytest.approx([7 / 27, 20 / 27, 1.0], abs=1e-6)


def test_a_resample_with_halves_on_both_sides_counts_half() -> None:
    """Of two rounds, one below: both draws below 1/4, one of them 1/2."""
    assert median_at_most(np.array([[1, 0]]), 1) == pytest.approx([0.5], abs=1e-6)
    assert median_at_most(np.array([[1]]), 2) == pytest.approx([0.5], abs=1e-6)


def test_percentiles_are_those_of_many_resamples() -> None:
    """Drawing 4,000 resamples finds the ends that are computed without."""
    rng = np.random.default_rng(3)
    values = ratios(NOISES[0], 0.02, rng, (8, 5, 20))
    processes = rng.integers(0, 5, (4000, 5, 1))
    rounds = rng.integers(0, 20, (4000, 5, 20))
    drawn = [np.median(run[processes, rounds].reshape(4000, -1), axis=1) for run in values]
    for share, found in zip((0.025, 0.975), percentiles(values, (0.025, 0.975)), strict=True):
        expected = [np.quantile(medians, share) for medians in drawn]
        assert np.mean(found - expected) == pytest.approx(0, abs=0.002)
        assert found == pytest.approx(expected, abs=0.008)


def test_the_plain_bootstrap_of_three_rounds_spans_them() -> None:
    """Each end has 7 of 27 resamples, more than a fortieth: the interval is all there is."""
    (known,) = bootstrap(np.array([[[1.0], [2.0], [6.0]]]))
    interval = known.interval()
    assert (interval.low, interval.estimate, interval.high) == (1.0, 2.0, 6.0)
    assert known.processes == 3
    with pytest.raises(ValueError, match=r"level must be 0\.95, got 0\.9"):
        known.interval(0.9)


def test_the_expanded_bootstrap_is_stretched_about_its_estimate() -> None:
    """With three processes by sqrt(3 / 2) * 4.303 / 1.960."""
    (known,) = expanded_bootstrap(np.array([[[1.0], [2.0], [6.0]]]))
    stretch = math.sqrt(3 / 2) * T_2 / 1.959964
    interval = known.interval()
    assert interval.low == pytest.approx(2 - stretch, rel=1e-5)
    assert interval.high == pytest.approx(2 + 4 * stretch, rel=1e-5)


@pytest.mark.parametrize("candidate", [student, random_effects])
def test_of_equal_processes_student_and_random_effects_say_the_same(candidate: object) -> None:
    """Of the medians 2, 3 and 7: their mean 4, and 4.303 standard errors."""
    assert callable(candidate)
    (known,) = candidate(EQUAL)
    interval = known.interval()
    assert interval.estimate == pytest.approx(4.0)
    assert interval.half_width == pytest.approx(T_2 * math.sqrt(7 / 3), rel=1e-5)


def test_random_effects_weigh_processes_that_agree_by_their_scatter() -> None:
    """Medians 1, 2 and 3 with scatters 10, 10 and 20: weights 4, 4 and 1, mean 15 / 9.

    Their variation is far below what the scatter makes, so none is between them.
    """
    values = np.array([[[-9.0, 1.0, 11.0], [-8.0, 2.0, 12.0], [-17.0, 3.0, 23.0]]])
    (known,) = random_effects(values)
    mean = 15 / 9
    variation = 4 * (1 - mean) ** 2 + 4 * (2 - mean) ** 2 + (3 - mean) ** 2
    assert known.estimate == pytest.approx(mean)
    assert known.error == pytest.approx(math.sqrt(variation / (2 * 9)))


def test_random_effects_weigh_processes_that_disagree_alike() -> None:
    """Where they differ far beyond their scatter, scatter does not matter."""
    values = np.array([[[0.9, 1.0, 1.1], [1.9, 2.0, 2.1], [8.8, 9.0, 9.2]]])
    (known,) = random_effects(values)
    assert known.estimate == pytest.approx(4.0, rel=0.005)
    assert known.error == pytest.approx(math.sqrt(19 / 3), rel=0.005)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_the_candidate_in_use_is_the_one_the_suite_uses(noise: Noise) -> None:
    """For many runs at once it says what `bench.stats.evidence` says of each."""
    values = ratios(noise, 0.01, np.random.default_rng(5), (20, 6, 20))
    assert IN_USE.say is student
    for run, known in zip(values, student(values), strict=True):
        expected = evidence(list(run))
        assert expected is not None
        assert known.processes == expected.processes == 6
        assert known.estimate == pytest.approx(expected.estimate, rel=1e-12)
        assert known.error == pytest.approx(expected.error, rel=1e-9)
        assert known.interval().low == pytest.approx(expected.interval().low, rel=1e-12)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_intervals_scale_with_the_ratios(candidate: Candidate) -> None:
    """A truth twice as large has an interval twice as large, run by run."""
    values: Array = ratios(NOISES[0], 0.01, np.random.default_rng(6), (10, 4, 20))
    for one, other in zip(candidate.say(values), candidate.say(2 * values), strict=True):
        assert other.estimate == pytest.approx(2 * one.estimate)
        assert other.interval().half_width == pytest.approx(2 * one.interval().half_width)
