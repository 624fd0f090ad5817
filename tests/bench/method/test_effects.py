"""Process effects hang together as their names say, and are of one size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.ledger import Ledger
from bench.method.coverage import EFFECTS
from bench.method.effects import MEMORY, SWING, drifting, independent, remembered
from bench.method.noise import NOISES, Noise
from bench.record import read
from bench.stats import spread

SHAPE = (20_000, 9)
RESULTS = Path(__file__).parents[3] / "results"
CONTENTION, COMMITTED = RESULTS / "method" / "contention.csv", RESULTS / "cpu" / "records.jsonl"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_effects_are_as_large_in_every_kind(noise: Noise, rng: np.random.Generator) -> None:
    """Over all processes of all runs their standard deviation is 1, about 0."""
    values = noise.effects(rng, SHAPE)
    assert values.shape == SHAPE
    assert values.std() == pytest.approx(1, abs=0.01)
    assert values.mean() == pytest.approx(0, abs=0.02)


def test_independent_processes_have_nothing_in_common(rng: np.random.Generator) -> None:
    """No two of a run correlate."""
    correlations = np.atleast_2d(np.corrcoef(independent(rng, SHAPE).T))
    assert np.abs(correlations[np.triu_indices(9, 1)]).max() < 0.04


def test_memory_fades_from_process_to_process(rng: np.random.Generator) -> None:
    """The next has a half of it, the one behind a quarter; the first is as large as the last."""
    values = remembered(rng, SHAPE)
    for lag in (1, 2, 3):
        found = np.corrcoef(values[:, lag:].ravel(), values[:, :-lag].ravel())[0, 1]
        assert found == pytest.approx(MEMORY**lag, abs=0.02)
    assert values.std(axis=0) == pytest.approx(np.ones(9), abs=0.03)


def test_a_run_that_drifts_goes_one_way(rng: np.random.Generator) -> None:
    """First and last are apart by the swing and their own effects; the middle stays at 0."""
    values = drifting(rng, SHAPE)
    line = SWING * np.linspace(-0.5, 0.5, 9)
    rest = 1 - float(np.mean(line**2))
    assert (values[:, -1] - values[:, 0]).std() == pytest.approx(
        math.hypot(SWING, math.sqrt(2 * rest)), rel=0.03
    )
    assert values[:, 4].std() == pytest.approx(math.sqrt(rest), rel=0.03)
    ends = np.corrcoef(values[:, 0], values[:, -1])[0, 1]
    assert ends == pytest.approx(-(line[0] ** 2) / (line[0] ** 2 + rest), abs=0.03)


def test_effects_are_as_large_as_those_that_were_seen() -> None:
    """What SE costs in the quiet processes of an experiment differs by no more, nor much less.

    By more, that is, than the noise of their rounds makes of it.
    """
    frame = pd.read_csv(CONTENTION)
    quiet = frame[frame["load"] == "quiet"]
    between = quiet.groupby("policy")["se_pct"].var().mean()
    within = (math.pi / 2 * quiet["scatter_pct"] ** 2 / quiet["rounds"]).mean()
    assert pytest.approx(math.sqrt(between - within), rel=1 / 2) == 100 * max(EFFECTS)


def test_the_committed_run_shows_no_larger_effect() -> None:
    """Its processes differ by what the noise of their rounds explains, and no more than that."""
    ledger = Ledger(read(COMMITTED))
    between, within = [], []
    for block, planned in ledger.blocks().items():
        for arm in planned.judged:
            processes = ledger.ratios(block, arm)
            between.append(np.var([np.median(each) for each in processes], ddof=1))
            within += [math.pi / 2 * (spread(each) or 0.0) ** 2 / len(each) for each in processes]
    assert np.mean(between) - np.mean(within) < max(EFFECTS) ** 2
