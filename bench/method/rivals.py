"""What other tools say of a model, from the raw times of its forwards in their order.

Each function follows the code of a tool, from the first forward it runs to the
number it prints, with the standard error that a person can compute from what
is printed. Where the recording ends before the tool would, it gets what there
is: all have the same wall time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.stats import Array

PYTEST_BENCHMARK = "pytest-benchmark"
TORCH = "torch.utils.benchmark"
TIMM = "timm's loop"
RIVALS = (PYTEST_BENCHMARK, TORCH, TIMM)

# pytest-benchmark's own (``--benchmark-min-rounds``).
MIN_ROUNDS = 5
# The defaults of timm's ``--num-warm-iter`` and ``--num-bench-iter``.
WARM_ITER, BENCH_ITER = 10, 40


@dataclass(frozen=True)
class Told:
    """A tool's number for one model, in seconds, its standard error, and of how many samples.

    The error is None where what is printed tells none.
    """

    value_s: float
    error_s: float | None
    samples: int


def all_told(times_s: Array, wall_s: float, overhead_s: float) -> dict[str, Told]:
    """What every rival says, by its name.

    Args:
        times_s: of single forwards, in the order they ran.
        wall_s: how long each tool is told to measure one model.
        overhead_s: what torch's timer takes for nothing.
    """
    return {
        PYTEST_BENCHMARK: pytest_benchmark(times_s, wall_s),
        TORCH: blocked_autorange(times_s, wall_s, overhead_s),
        TIMM: timm_loops(times_s),
    }


def pytest_benchmark(times_s: Array, max_time_s: float) -> Told:
    """pytest-benchmark's median, for a function that takes longer than its clock can tell.

    As ``BenchmarkFixture._raw`` has it: one call calibrates, by it as many
    rounds are planned as fit into ``max_time``, five at least, and each is one
    iteration. The error is the median's, from the printed IQR (``Stats.q1``, ``q3``).
    """
    rounds = max(MIN_ROUNDS, math.ceil(max_time_s / times_s[0]))
    data = np.sort(times_s[1 : 1 + rounds])
    if not len(data):
        raise ValueError(f"times_s must hold two forwards or more, got {len(times_s)}")
    low, high = _quartiles(data)
    return _median(data, high - low)


def _quartiles(data: Array) -> tuple[float, float]:
    """``Stats.q1`` and ``q3``: methods 2 (even) and 3 (odd) of en.wikipedia.org/wiki/Quartile."""
    count = len(data)
    if count == 1:
        return float(data[0]), float(data[0])
    if count % 2 == 0:
        return float(np.median(data[: count // 2])), float(np.median(data[count // 2 :]))
    n, rest = divmod(count, 4)
    if rest == 1:
        low = 0.25 * data[n - 1] + 0.75 * data[n]
        high = 0.75 * data[3 * n] + 0.25 * data[3 * n + 1]
    else:
        low = 0.75 * data[n] + 0.25 * data[n + 1]
        high = 0.25 * data[3 * n + 1] + 0.75 * data[3 * n + 2]
    return float(low), float(high)


def blocked_autorange(times_s: Array, min_run_time_s: float, overhead_s: float) -> Told:
    """The median of ``torch.utils.benchmark.Timer.blocked_autorange``.

    As ``Timer._estimate_block_size`` has it, blocks grow tenfold until the
    timer takes less than 1e-4 of one and it lasts 1/1000 of the run, or all of
    it; as ``_threaded_measurement_loop`` has it, blocks follow until they add
    up to ``min_run_time``. The error is the median's, from the printed IQR.
    """
    number, place = 1, 0
    while place + number <= len(times_s):
        taken_s = float(times_s[place : place + number].sum()) + overhead_s
        place += number
        negligible = overhead_s / taken_s <= 1e-4 and taken_s >= min_run_time_s / 1000
        if negligible or taken_s > min_run_time_s:
            break
        number *= 10
    whole = (len(times_s) - place) // number
    if whole < 1:  # nor was there where a block to estimate from was missing
        raise ValueError(f"times_s must hold a block of {number} forwards, got {len(times_s)}")
    blocks = times_s[place : place + whole * number].reshape(whole, number).sum(axis=1) + overhead_s
    run = 1 + int(np.searchsorted(np.cumsum(blocks), min_run_time_s))
    data = np.sort(blocks[:run]) / number
    low, high = np.quantile(data, (0.25, 0.75))
    return _median(data, float(high - low))


def timm_loops(times_s: Array) -> Told:
    """The ``step_time`` of timm's ``benchmark.py``, its mean over as many runs as there are.

    As ``InferenceBenchmarkRunner.run`` has it, ten forwards warm up, then the
    mean of forty is told. The error is that of the mean of the runs; one run tells none.
    """
    loop = WARM_ITER + BENCH_ITER
    loops = len(times_s) // loop
    if not loops:
        raise ValueError(f"times_s must hold {loop} forwards or more, got {len(times_s)}")
    steps = times_s[: loops * loop].reshape(loops, loop)[:, WARM_ITER:].mean(axis=1)
    error_s = float(steps.std(ddof=1) / math.sqrt(loops)) if loops > 1 else None
    return Told(float(steps.mean()), error_s, loops)


def _median(data: Array, iqr: float) -> Told:
    """Its standard error is 1.25 IQR / (1.35 sqrt n): McGill, Tukey, Larsen, Am. Stat. 32, 1978."""
    count = len(data)
    error_s = 1.25 * iqr / (1.35 * math.sqrt(count)) if count > 1 else None
    return Told(float(np.median(data)), error_s, count)
