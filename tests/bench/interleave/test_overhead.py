"""Benchmarks against their baselines: of made-up rounds, and in sessions."""

from __future__ import annotations

import numpy as np
import pytest

from bench.interleave.job import Turns
from bench.interleave.overhead import Paired, overheads
from tests.bench.interleave.conftest import RunSession


def made_up(factor: float, noise: float, rounds: int = 200, seed: int = 0) -> Paired:
    """Rounds on a machine whose speed wanders by half, in which ``factor`` holds all the same."""
    rng = np.random.default_rng(seed)
    speed = 1 + 0.5 * np.sin(np.arange(rounds) / 7)

    def turns(times: float) -> Turns:
        return [
            [float(s * times * n)] for s, n in zip(speed, rng.normal(1, noise, rounds), strict=True)
        ]

    return Paired("it", "base", turns(factor), turns(1.0), turns(1.0))


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.05, "slower"), (1.0, "not slower"), (0.9, "not slower")]
)
def test_the_ratio_is_found(factor: float, verdict: str) -> None:
    """The machine's wandering is in no ratio; the noise floor is what was put in."""
    (overhead,) = overheads([made_up(factor, 0.004)])
    assert overhead is not None
    assert overhead.ratio.interval().covers(factor)
    assert overhead.ratio.interval().half_width < 0.004
    assert overhead.verdict == verdict
    assert overhead.noise == pytest.approx(0.004 * 2**0.5, rel=0.2)


def test_too_few_rounds_decide_nothing() -> None:
    """One round bounds nothing, and strict JSON says so by null."""
    (overhead,) = overheads([made_up(2.0, 0.0, rounds=1)])
    assert overhead is not None
    assert overhead.verdict == "undecided"
    assert overhead.as_extra_info()["ratio_low"] is None


def test_rounds_without_both_count_for_nothing() -> None:
    """A round that one sat out says nothing of the pair."""
    pair = Paired("it", "base", [[2.0], None, [4.0]], [[1.0], [9.0], [2.0]], [[1.0], None, [2.0]])
    (overhead,) = overheads([pair])
    assert overhead is not None
    assert (overhead.ratio.estimate, overhead.rounds) == (2.0, 2)
    assert overheads([Paired("it", "base", [None], [[1.0]], [None])]) == [None]


SESSION = """
    def test_base(benchmark): benchmark(sum, range(10_000))
    def test_twice(benchmark, benchmark_baseline):
        benchmark_baseline("test_base")
        benchmark(sum, range(20_000))
    def test_lost(benchmark, benchmark_baseline):
        benchmark_baseline("test_nowhere")
        benchmark(len, "x")
"""


def test_overhead_in_a_session(run: RunSession) -> None:
    """A section of its own, and what it says in extra_info; the control is no row."""
    # Enough rounds that a machine that stalls in some of them hardly moves their medians.
    session = run(SESSION, "--benchmark-max-time=0.3")
    session.outcomes(passed=3)
    infos = {entry["name"]: entry["extra_info"] for entry in session.written["benchmarks"]}
    assert sorted(infos) == ["test_base", "test_lost", "test_twice"]
    assert infos["test_base"] == infos["test_lost"] == {}
    assert infos["test_twice"]["baseline"] == "test_base"
    assert 1.3 < infos["test_twice"]["ratio"] < 3
    assert infos["test_twice"]["rounds_paired"] >= 5
    session.result.stdout.fnmatch_lines(
        [
            "*overhead against a baseline*",
            "test_lost: no benchmark 'test_nowhere' in this session",
            "test_twice against test_base: +* % (*), *; * rounds, noise floor * %",
        ]
    )


# A round has two calls, the baseline's and its control's, in an order that the seed gives.
@pytest.mark.parametrize("call", [4, 5])
def test_a_baseline_fails_with_its_control(run: RunSession, call: int) -> None:
    """Whichever of both fails, the baseline has failed: no row, and nothing is compared."""
    session = run(f"""
        calls = iter(range(1, 100))
        def fails_once():
            assert next(calls) != {call}, "failed once"
        def test_base(benchmark): benchmark.pedantic(fails_once, rounds=6)
        def test_it(benchmark, benchmark_baseline):
            benchmark_baseline("test_base")
            benchmark.pedantic(len, ("x",), rounds=6)
    """, "--benchmark-interleave-seed=1")  # fmt: skip
    session.outcomes(passed=1, failed=1)
    assert "failed once" in session.text
    assert "test_it: it or its baseline failed" in session.text
    assert list(session.samples) == ["test_it"]
    assert len(session.samples["test_it"]) == 6


def test_without_the_option_nothing_is_compared(run: RunSession) -> None:
    session = run(SESSION, interleave=False)
    session.outcomes(passed=3)
    assert "overhead against" not in session.text
