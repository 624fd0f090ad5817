"""What a trial needs of memory at its peak, on the device where it runs."""

from __future__ import annotations

import torch

from bench.measure.paths import executor_of
from bench.measure.resident import measure_in_fork, resident_growth, warm_runtime
from bench.measure.subject import build_blank, build_example
from bench.record import Memory
from bench.trial import Trial

FORWARDS = 2


def measure_memory(trial: Trial) -> Memory:
    """The growth of a fresh process (CPU), or the allocator's peak (CUDA).

    On the CPU the calling process is forked, so it must not have run an
    operator yet: a thread pool does not survive a fork.
    """
    if trial.workload.device == "cuda":
        warm_runtime("cuda")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _build_and_run(trial)
        peak = torch.cuda.max_memory_allocated() - before
        return Memory(trial, resident_growth_bytes=None, device_peak_bytes=peak)
    growth = measure_in_fork(lambda: _growth(trial))
    return Memory(trial, resident_growth_bytes=growth, device_peak_bytes=None)


def _growth(trial: Trial) -> int | None:
    torch.set_num_threads(trial.workload.threads)
    return resident_growth(lambda: _build_and_run(trial))


@torch.inference_mode()
def _build_and_run(trial: Trial) -> None:
    model = build_blank(trial)
    forward = executor_of(trial.path).prepare(model, build_example(trial.workload))
    for _ in range(FORWARDS):
        forward()
