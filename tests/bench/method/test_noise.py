"""Made-up noise is what its names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.ledger import Ledger
from bench.method.effects import Series
from bench.method.noise import (
    CORRELATION,
    NOISES,
    SCATTER,
    SWING,
    Noise,
    autocorrelated,
    drift,
    heavy_tails,
    normal,
    ratios,
    two_modes,
    uneven_modes,
)
from bench.record import read
from bench.stats import MAD_TO_SD, Array, spread

SHAPE = (400, 10, 20)
COMMITTED = Path(__file__).parents[3] / "results" / "cpu" / "records.jsonl"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def standardised(values: Array, power: int) -> float:
    return float(np.mean((values - values.mean()) ** power) / values.std() ** power)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_all_noise_has_the_median_0_and_the_same_scatter(
    noise: Noise, rng: np.random.Generator
) -> None:
    """What differs is shape and memory."""
    values = noise.draw(rng, SHAPE)
    assert values.shape == SHAPE
    assert np.mean(values < 0) == pytest.approx(0.5, abs=0.01)
    assert spread(values.ravel()) == pytest.approx(SCATTER, rel=0.04)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_processes_and_runs_differ(noise: Noise, rng: np.random.Generator) -> None:
    """No two processes share their noise; with the same seed they do."""
    values = ratios(noise, 0.01, rng, (5, 4, 20)).reshape(20, 20)
    assert len(np.unique(values, axis=0)) == 20
    again = ratios(noise, 0.01, np.random.default_rng(7), (5, 4, 20)).reshape(20, 20)
    assert np.array_equal(values, again)


def test_the_scatter_is_no_less_than_that_of_the_committed_run() -> None:
    """Of its control arms, block by block, in the middle; or more: the simulated one is noisy."""
    ledger = Ledger(read(COMMITTED))
    found = [
        spread(np.concatenate(ledger.ratios(block, arm))) or 0.0
        for block, planned in ledger.blocks().items()
        for arm in planned.arms
        if arm.role == "control"
    ]
    assert 0 < float(np.median(found)) <= SCATTER


def test_normal_noise_is_normal(rng: np.random.Generator) -> None:
    """Its fourth moment is 3."""
    assert standardised(normal(rng, SHAPE), 4) == pytest.approx(3, abs=0.15)


def test_heavy_tails_reach_far(rng: np.random.Generator) -> None:
    """Beyond four scatters lie some percent; of normal values one in 16,000."""
    assert 0.01 < np.mean(np.abs(heavy_tails(rng, SHAPE)) > 4 * SCATTER) < 0.03


def test_drift_goes_one_way_within_a_process_and_any_way_over_processes(
    rng: np.random.Generator,
) -> None:
    """The last quarter minus the first is three quarters of a swing, on average 0."""
    values = drift(rng, SHAPE)
    rise = values[..., -5:].mean(axis=-1) - values[..., :5].mean(axis=-1)
    slopes = np.linspace(-0.5, 0.5, 20)
    expected = SWING * (slopes[-5:].mean() - slopes[:5].mean())
    rest = SCATTER * np.sqrt(2 / 3) * np.sqrt(2 / 5)
    assert rise.std() == pytest.approx(np.hypot(expected, rest), rel=0.04)
    assert rise.mean() == pytest.approx(0, abs=0.005)


def test_two_modes_leave_the_middle_empty(rng: np.random.Generator) -> None:
    """Values are rare at the median: a twentieth of a normal distribution's there would be many."""
    values = two_modes(rng, SHAPE)
    values = values / SCATTER
    middle, sides = (np.mean(np.abs(np.abs(values) - at) < 0.06) for at in (0.0, 1 / MAD_TO_SD))
    assert middle < sides / 20
    assert standardised(values, 3) == pytest.approx(0, abs=0.03)


def test_uneven_modes_are_skewed(rng: np.random.Generator) -> None:
    """A quarter lies above, and nothing balances it below."""
    assert standardised(uneven_modes(rng, SHAPE), 3) > 0.4


def test_autocorrelation_halves_with_each_round(rng: np.random.Generator) -> None:
    """And its size does not depend on the round."""
    values = autocorrelated(rng, SHAPE)
    for lag in (1, 2, 3):
        found = np.corrcoef(values[..., lag:].ravel(), values[..., :-lag].ravel())[0, 1]
        assert found == pytest.approx(CORRELATION**lag, abs=0.02)
    assert values.std(axis=(0, 1)) == pytest.approx(np.full(20, SCATTER), rel=0.05)


def test_a_process_effect_shifts_whole_processes(rng: np.random.Generator) -> None:
    """All rounds of one by the same factor, whose standard deviation is the effect; then truth."""
    silent = Noise("silent", lambda rng, shape: np.zeros(shape))
    values = ratios(silent, 0.012, rng, SHAPE, truth=2.0)
    assert np.ptp(values, axis=2).max() == 0
    assert values[..., 0].mean() == pytest.approx(2.0, rel=0.001)
    assert values[..., 0].std() == pytest.approx(2 * 0.012, rel=0.05)
    assert np.all(ratios(silent, 0.0, rng, SHAPE) == 1)


def test_a_kind_says_how_process_effects_hang_together(rng: np.random.Generator) -> None:
    """The effects of a run are drawn by it, one for each process."""

    def growing(rng: np.random.Generator, shape: Series) -> Array:
        return np.broadcast_to(np.arange(shape[1], dtype=float), shape)

    kind = Noise("silent, growing", lambda rng, shape: np.zeros(shape), growing)
    assert np.allclose(ratios(kind, 0.01, rng, (2, 3, 4)), [[[1.0] * 4, [1.01] * 4, [1.02] * 4]])
    assert not kind.is_independent
    assert Noise("silent", kind.draw).is_independent
