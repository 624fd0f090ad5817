"""Verdicts on made-up triples, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gate.judgement import (
    FALSE_DISCOVERY_RATE,
    LEAST_TRIPLES,
    THRESHOLD,
    Known,
    Verdict,
    detectable,
    distrusted,
    judge,
    rate_at,
)
from bench.stats import Array, Evidence


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
    return judge([Known.of(triples(change, **settings))], THRESHOLD, 1)[0]  # type: ignore[arg-type]


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
    assert judge([known], THRESHOLD, 1) == ["undecided"]
    assert not distrusted(Known.of(triples(0.05)), THRESHOLD)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_grid_of_equal_variants_has_no_regression(seed: int) -> None:
    """By chance alone one must be slower by 2 % and beyond doubt, as processes usually differ."""
    known = [Known.of(triples(count=3, noise=0.004, seed=seed + n)) for n in range(7)]
    assert "regressed" not in judge(known, THRESHOLD, 1)


def test_company_and_looks_ask_for_more() -> None:
    """Among many, or late, more must be slower to be seen; of one triple, nothing is."""
    alone = [Known.of(triples(noise=0.02))]
    (least,) = detectable(alone, THRESHOLD, 1)
    assert least < detectable(alone * 10, THRESHOLD, 1)[0]
    assert least < detectable(alone, THRESHOLD, 5)[0]
    assert detectable([Known.of(triples(count=1))], THRESHOLD, 1) == [np.inf]


def test_nothing_within_the_threshold_could_have_been_seen() -> None:
    """However quiet the machine is: what does not count is not found."""
    times = np.array([[1.0, 1.0, 1.0]] * 3)
    assert detectable([Known.of([times] * 3)], THRESHOLD, 1) == [THRESHOLD]
    still = Known(Evidence(1.0, 1e-6, 9), Evidence(1.0, 1e-6, 9))
    assert detectable([still], THRESHOLD, 1)[0] == pytest.approx(THRESHOLD, abs=1e-4)


def simulated(rng: np.random.Generator, change: float, count: int) -> Known:
    """Head over base by processes of 1 % noise, and a control that is never odd."""
    medians = 1 + change + 0.01 * rng.standard_normal(count)
    error = float(medians.std(ddof=1) / np.sqrt(count))
    return Known(Evidence(float(medians.mean()), error, count), Evidence(1.0, 0.01, count))


def test_what_could_have_been_seen_is_found_by_both_sets_mostly() -> None:
    """In eight of ten pairs of sets, threshold and confirmation included."""
    rng = np.random.default_rng(3)
    count, look = 6, 4
    typical = Known(Evidence(1.0, 0.01 / np.sqrt(count), count), Evidence(1.0, 0.01, count))
    (slowdown,) = detectable([typical], THRESHOLD, look)
    found = [
        all(
            judge([simulated(rng, slowdown, count)], THRESHOLD, look) == ["regressed"]
            for _ in range(2)
        )
        for _ in range(1500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_many_looks_find_no_more_than_one_may() -> None:
    """Of equal revisions; with the whole rate at each look it would be twice as many."""
    rng = np.random.default_rng(4)
    grids, looks = 1500, range(1, 9)
    false = 0
    for _ in range(grids):
        medians = 1 + 0.01 * rng.standard_normal(LEAST_TRIPLES + len(looks) - 1)
        for look in looks:
            seen = medians[: LEAST_TRIPLES + look - 1]
            error = float(seen.std(ddof=1) / np.sqrt(len(seen)))
            known = Known(Evidence(float(seen.mean()), error, len(seen)), Evidence(1, 0.01, 3))
            if judge([known], 0.0, look) == ["regressed"]:
                false += 1
                break
    assert false <= 1.2 * FALSE_DISCOVERY_RATE * grids
    assert sum(map(rate_at, range(1, 1000))) <= FALSE_DISCOVERY_RATE
