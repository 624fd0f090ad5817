"""What `pytest --benchmark-interleave` makes of pytest-benchmark's medians, by the recordings.

With the plugin a session is one process that runs all benchmarks in rounds. The
recordings hold such processes: those that found the true sizes, cut to the time
that pytest-benchmark had for the same models one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.method.comparisons import comparisons
from bench.method.lines import Parameters, Rounds, Truth
from bench.method.proof import equal_ratios
from bench.method.recording import Recording
from bench.method.rivals import PYTEST_BENCHMARK
from bench.record import select
from bench.stats import LEVEL, Array, Interval

INTERLEAVED = "interleaved.csv"
# So many comparisons one after the other were recorded right after the processes in rounds; the
# others follow for most of an hour, in which a machine may change.
NEAR = 5
_RESAMPLES = 2000


def interleaved(recordings: Sequence[Recording]) -> pd.DataFrame:
    """A row for each recording: how far ratios of equal models' medians spread, both ways.

    ``sd_pct`` and ``n`` are of pytest-benchmark as it is, ``interleaved_*`` of one
    process in rounds, which may have had less time, and ``times`` is how many times as
    far the former spread, with a bootstrap interval over processes.
    """
    rows = map(_row, recordings)
    return pd.DataFrame([row for row in rows if row is not None])


def ratios_of_medians(said: Rounds, parameters: Parameters) -> Array:
    """Of each equal model to the trunk, by the rounds that fit into a comparison's time."""
    times = np.array(said.wall_ns, dtype=np.float64)
    fitting = 1e-9 * np.cumsum(times.sum(axis=1)) <= parameters.length_s
    medians = np.median(times[fitting], axis=0)
    return np.asarray(medians[1 : 1 + parameters.equal_models] / medians[0])


def markdown(frame: pd.DataFrame) -> str:
    """A line for each recording.

    Args:
        frame: rows of `interleaved`.
    """
    return "".join(
        f"- *{row['condition']}, {row['size']} px*, {row['length_s']:g} s for {row['arms']} "
        f"benchmarks: sd {row['sd_pct']:.2f} % without ({row['n']} ratios), "
        f"{row['interleaved_sd_pct']:.2f} % with it ({row['interleaved_n']}, of "
        f"{row['interleaved_s']:g} s), "
        f"{row['times']:.1f} [{row['times_low']:.1f}, {row['times_high']:.1f}] times less; "
        f"held against the {NEAR} comparisons recorded right after alone {row['near_times']:.1f} "
        f"[{row['near_times_low']:.1f}, {row['near_times_high']:.1f}] times.\n"
        for _, row in frame.iterrows()
    )


def _row(recording: Recording) -> dict[str, object] | None:
    """None where either is still to be recorded."""
    asked, frame = recording.header.parameters, comparisons(recording)
    processes = [line.said for line in select(recording.lines, Truth)]
    if frame.empty or not processes:
        return None
    one_by_one = equal_ratios(frame, PYTEST_BENCHMARK)
    in_rounds = np.stack([ratios_of_medians(said, asked) for said in processes])
    times = _times(one_by_one, in_rounds)
    nearest = _times(one_by_one[:NEAR], in_rounds)
    near = (nearest.estimate, nearest.low, nearest.high)
    return {
        "condition": asked.load,
        "size": asked.size,
        "arms": len(asked.arms_pct),
        "length_s": asked.length_s,
        "n": one_by_one.size,
        "sd_pct": 100 * one_by_one.std(ddof=1),
        "interleaved_n": in_rounds.size,
        "interleaved_s": min(asked.length_s, asked.truth_s),
        "interleaved_sd_pct": 100 * in_rounds.std(ddof=1),
        "times": times.estimate,
        "times_low": times.low,
        "times_high": times.high,
        **dict(zip(("near_times", "near_times_low", "near_times_high"), near, strict=True)),
    }


def _times(wide: Array, narrow: Array) -> Interval:
    """How many times as far the one spreads as the other; both are processes, models."""
    rng = np.random.default_rng(0)

    def sds(values: Array, chosen: NDArray[np.int_]) -> Array:
        return np.asarray(values[chosen].std(axis=(-2, -1), ddof=1))

    drawn = [
        sds(values, rng.integers(len(values), size=(_RESAMPLES, len(values))))
        for values in (wide, narrow)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):  # where ratios are all the same
        times = np.append(drawn[0] / drawn[1], wide.std(ddof=1) / narrow.std(ddof=1))
    if not np.isfinite(times).all():
        return Interval(float(times[-1]), -np.inf, np.inf)
    low, high = np.quantile(times[:-1], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(times[-1]), float(low), float(high))
