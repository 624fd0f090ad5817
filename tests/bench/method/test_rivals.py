"""What rivals are said to say is what the tools themselves say of the same times."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch.utils.benchmark import Timer

from bench.method.rivals import (
    PYTEST_BENCHMARK,
    RIVALS,
    TIMM,
    TORCH,
    all_told,
    blocked_autorange,
    pytest_benchmark,
    timm_loops,
)
from bench.stats import Array

FAKE = """
import json, pathlib
times = iter(json.loads(pathlib.Path(__file__).with_name("times.json").read_text()))
now = 0.0
def clock():
    global now
    now += 1e-9
    return now
def forward():
    global now
    now += next(times, 0.0)
"""


def forwards(count: int, typical_s: float = 0.004, seed: int = 0) -> Array:
    """Times with a long tail, the first of them slow."""
    times_s = typical_s * np.random.default_rng(seed).lognormal(0.0, 0.3, count)
    times_s[0] = 3 * typical_s
    return np.asarray(times_s)


class Clock:
    """A clock that forwards move, and reading it by ``reading_s``."""

    def __init__(self, times_s: Array, reading_s: float) -> None:
        self._times: Iterator[float] = iter(times_s.tolist())
        self._reading_s = reading_s
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._reading_s
        return self._now

    def forward(self) -> None:
        self._now += next(self._times)


@pytest.mark.parametrize(
    ("typical_s", "reading_s", "min_run_time_s", "block"),
    [
        (0.004, 1e-7, 2.5, 1),
        (0.004, 3e-6, 2.5, 10),
        (0.0001, 1e-7, 2.5, 100),
        (0.5, 1e-6, 0.4, 1),  # one forward is the whole run
        (0.004, 1e-3, 0.02, 10),  # nothing makes so slow a timer negligible
    ],
)
def test_torch_says_the_same(
    typical_s: float, reading_s: float, min_run_time_s: float, block: int
) -> None:
    """Block size, number of blocks, median and IQR of ``Timer.blocked_autorange``."""
    times_s = forwards(40_000, typical_s)
    clock = Clock(times_s, reading_s)
    timer = Timer("forward()", globals={"forward": clock.forward}, timer=clock)
    theirs = timer.blocked_autorange(min_run_time=min_run_time_s)
    ours = blocked_autorange(times_s, min_run_time_s, reading_s)
    assert theirs.number_per_run == block
    assert ours.samples == len(theirs.times)
    assert ours.value_s == pytest.approx(theirs.median, rel=1e-9)
    if ours.samples == 1:
        assert ours.error_s is None
    else:
        expected = 1.25 * theirs.iqr / (1.35 * math.sqrt(len(theirs.times)))
        assert ours.error_s == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("max_time_s", [0.01, 0.45, 0.46, 0.47, 0.48])
def test_pytest_benchmark_says_the_same(max_time_s: float, tmp_path: Path) -> None:
    """Rounds, median and IQR that its plugin writes to JSON, with each way to take quartiles."""
    pytest.importorskip("pytest_benchmark")
    times_s = forwards(300)
    (tmp_path / "times.json").write_text(json.dumps(times_s.tolist()))
    (tmp_path / "fake.py").write_text(FAKE)
    (tmp_path / "test_it.py").write_text(
        "import fake\ndef test_it(benchmark):\n    benchmark(fake.forward)\n"
    )
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider",
        "--benchmark-timer=fake.clock", f"--benchmark-max-time={max_time_s}",
        "--benchmark-json=out.json", "test_it.py",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = json.loads((tmp_path / "out.json").read_text())["benchmarks"][0]["stats"]
    ours = pytest_benchmark(times_s, max_time_s)
    assert ours.samples == theirs["rounds"]
    assert theirs["iterations"] == 1
    assert ours.value_s == pytest.approx(theirs["median"], rel=1e-6)
    expected = 1.25 * theirs["iqr"] / (1.35 * math.sqrt(theirs["rounds"]))
    assert ours.error_s == pytest.approx(expected, rel=1e-5)


def test_the_loop_of_timm_leaves_its_warm_up_out() -> None:
    """Means of 1 and 3 s after slow starts make 2 s, with an error of 1 s; the rest is no loop."""
    times_s = np.array([100.0] * 10 + [1.0] * 40 + [50.0] * 10 + [3.0] * 40 + [7.0] * 49)
    told = timm_loops(times_s)
    assert (told.value_s, told.samples) == (2.0, 2)
    assert told.error_s == pytest.approx(1.0)
    alone = timm_loops(times_s[:50])
    assert (alone.value_s, alone.error_s, alone.samples) == (1.0, None, 1)


def test_where_the_recording_ends_first_all_of_it_is_used() -> None:
    """Longer is no tool allowed to measure than the recording lasts."""
    times_s = forwards(100)
    assert pytest_benchmark(times_s, 1e6).samples == 99
    assert blocked_autorange(times_s, 3.0, 3e-6).samples == 8  # 11 forwards make the estimate
    told = all_told(times_s, 3.0, 3e-6)
    assert tuple(told) == RIVALS
    assert [told[name].samples for name in (PYTEST_BENCHMARK, TORCH, TIMM)] == [99, 8, 2]


def test_too_short_a_recording_is_refused() -> None:
    """Rather than a number that no tool would have told."""
    with pytest.raises(ValueError, match="two forwards or more, got 1"):
        pytest_benchmark(forwards(1), 1.0)
    with pytest.raises(ValueError, match="50 forwards or more, got 49"):
        timm_loops(forwards(49))
    with pytest.raises(ValueError, match="a block of 10 forwards, got 15"):
        blocked_autorange(forwards(15), 2.5, 3e-6)
