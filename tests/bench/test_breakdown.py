"""Breakdowns are told from processes that are sound, where it is known which are which."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.breakdown import BREAKDOWN, SLOWED, STOLEN, Signs, is_breakdown, stolen_share, suffices
from bench.method import ratios, recording
from bench.method.lines import Paired
from bench.record import select

METHOD = Path(__file__).parents[2] / "results" / "method"
CONTENTION = METHOD / "contention.csv"
# What threads do for which the other work leaves no CPU: sleep, spin but shortly, or there is
# one thread only. All others spin for a partner that is not running.
SURVIVE = {"passive", "spin count 1,000", "one thread", "one thread, pinned"}


def test_the_rule_tells_broken_processes_from_sound_ones() -> None:
    """Broken are those under load whose threads spin long, or cannot leave a busy CPU.

    Each is held against the fastest process of its policy. What they say of the control arm
    shows that the two kinds are apart: sound ones 2 % at most, broken ones up to a seventh. A
    few are told wrong: sound ones that are lost, and broken ones whose pairs held all the same.
    """
    frame = pd.read_csv(CONTENTION)
    is_broken = (frame["load"] == "loaded") & ~frame["policy"].isin(SURVIVE)
    best_ms = frame.groupby("policy")["trunk_ms"].transform("min")
    found = [
        is_breakdown(Signs(scatter_pct / 100, trunk_ms, 0.0), least_ms)
        for scatter_pct, trunk_ms, least_ms in zip(
            frame["scatter_pct"], frame["trunk_ms"], best_ms, strict=True
        )
    ]
    told = pd.Series(found)
    lost, missed = frame[~is_broken & told], frame[is_broken & ~told]
    assert len(lost) <= 0.02 * (~is_broken).sum()
    assert len(missed) <= 0.06 * is_broken.sum()
    assert (missed["control_pct"].abs() < 2).all()
    assert frame["control_pct"][~is_broken].abs().max() < 2
    assert frame["control_pct"][is_broken].abs().max() > 10


def test_either_sign_alone_misses_breakdowns() -> None:
    """Some are slow and scatter no more than sound processes, some scatter at ordinary speed."""
    frame = pd.read_csv(CONTENTION)
    broken = frame[(frame["load"] == "loaded") & ~frame["policy"].isin(SURVIVE)]
    best_ms = broken["policy"].map(frame.groupby("policy")["trunk_ms"].min())
    assert (broken["scatter_pct"] / 100 <= BREAKDOWN).any()
    assert (broken["trunk_ms"] <= SLOWED * best_ms).any()


def test_without_a_control_the_speed_alone_tells() -> None:
    """A control that could not ride leaves no scatter to judge."""
    assert is_breakdown(Signs(None, 4.0, 0.0), 1.0)
    assert not is_breakdown(Signs(None, 2.0, 0.0), 1.0)


def test_stolen_time_tells_what_pairs_may_hide() -> None:
    """In the recordings it parts processes whose equal models differ from all the others.

    One of them is found by this sign alone.
    """
    by_scatter = []
    for path in recording.paths_in(METHOD):
        known = recording.read(path)
        equal = slice(1, 1 + known.header.parameters.equal_models)
        for line in select(known.lines, Paired):
            signs = ratios.signs(line.said, known.header.parameters.threads)
            if signs.stolen > STOLEN:
                assert abs(ratios.ratios(line.said)[equal] - 1).max() > 0.15
                assert is_breakdown(signs, signs.trunk_s)
                assert signs.scatter is not None
                by_scatter.append(signs.scatter > BREAKDOWN)
            else:
                assert signs.stolen < 0.035
    assert len(by_scatter) == 7
    assert by_scatter.count(False) == 1


def test_stolen_time_is_of_threads_that_wait_for_one_another() -> None:
    """One thread is only slowed; what the system does not tell is taken for nothing."""
    assert stolen_share(0.5, 5.0, 2) == pytest.approx(0.05)
    assert stolen_share(0.5, 5.0, 1) == stolen_share(None, 5.0, 2) == stolen_share(0.5, 0.0, 2) == 0


@pytest.mark.parametrize(
    ("clean", "visits", "expected"), [(2, 2, True), (2, 4, True), (2, 5, False), (1, 1, False)]
)
def test_clean_visits_suffice_unless_they_are_few(clean: int, visits: int, expected: bool) -> None:
    """Two at least, and as many as are broken."""
    assert suffices(clean, visits) is expected
