"""What the harness itself costs: `python -m bench.interleave.harness [--torch]`.

Rounds of benchmarks that do nothing, by the code that measures real ones. What
a round takes beyond its samples is printed, in microseconds.
"""

from __future__ import annotations

import argparse
import importlib
import time
from types import SimpleNamespace
from typing import Any, cast

from bench.interleave.job import Job
from bench.interleave.rounds import Wish, run_rounds
from bench.interleave.torch_state import current
from bench.interleave.touched import BenchmarkFixture

ROUNDS, REPEATS = 400, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", action="store_true", help="with torch imported")
    if parser.parse_args().torch:
        importlib.import_module("torch")
    for arms in (1, 2, 8):
        # Other work on the machine only adds.
        least_s = min(beyond_samples_s(arms) for _ in range(REPEATS))
        print(f"{arms} benchmarks: {1e6 * least_s:.1f} us a round")


def beyond_samples_s(arms: int) -> float:
    """Seconds of a round beyond its samples, with that many benchmarks that do nothing."""
    jobs = [_idle_job() for _ in range(arms)]
    started_s = time.perf_counter()
    rounds = run_rounds(jobs, seed=0)
    taken_s = time.perf_counter() - started_s
    samples_s = sum(sum(turn or ()) for job in jobs for turn in job.turns)
    return (taken_s - samples_s) / rounds


def _idle_job() -> Job:
    fixture = SimpleNamespace(_timer=time.perf_counter, _disable_gc=False)
    runner = BenchmarkFixture._make_runner(fixture, lambda: None, (), {})
    once = range(1)
    return Job(
        item=cast(Any, None),
        metadata=None,
        wish=Wish(0.0, 0.0, ROUNDS, fixed_turns=ROUNDS),
        sample=lambda: runner(once),
        gone=lambda: None,
        held=None,
        torch_state=current(),
        again=lambda *_: None,
    )


if __name__ == "__main__":
    main()
