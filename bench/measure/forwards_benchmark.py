"""The forwards that the timing gate compares, as pytest-benchmark times them.

For the proof of the gate: run by pytest as a file, from the top of a tree, with
pytest-benchmark. ``SE_BENCH_TRIALS`` has the trials, a JSON object by their names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch

import se_models
from bench.measure.candidate import Candidate
from bench.protocol import Hold
from bench.trial import Trial


class Benchmark(Protocol):
    """pytest-benchmark's fixture."""

    def __call__(self, function: Callable[[], object]) -> object: ...


def pytest_generate_tests(metafunc: Any) -> None:
    """A benchmark for each trial, by its name."""
    trials = msgspec.json.decode(os.environ["SE_BENCH_TRIALS"], type=dict[str, str])
    metafunc.parametrize("trial", list(trials.values()), ids=list(trials))


def test_forward(benchmark: Benchmark, trial: str) -> None:
    """Warm, as the gate's process has it."""
    assert Path(se_models.__file__).is_relative_to(Path.cwd())  # and not what is installed
    candidate = Candidate(msgspec.json.decode(trial, type=Trial).workload.threads)
    (held,) = candidate.answer(Hold(trial))
    assert held.place is not None, held.reason  # type: ignore[union-attr]
    with torch.inference_mode():
        benchmark(candidate.forward(held.place))  # type: ignore[union-attr]
