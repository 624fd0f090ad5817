"""What a trial needs of memory at its peak, on the device where it runs.

Of eager PyTorch it is the peak over building and running. To transform, to
compile or to export takes many times what running takes, once; so by other
paths it is the peak of running what was prepared, of its preparation no more
than what that leaves behind. A CUDA graph's replays allocate nothing, and write where
its capture's tensors lay: its peak is that of capturing it, the warm-up included.
A runtime loads an export, which another process has made, and has no model of
torch's beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from bench.measure.paths import Forward, executor_of, transformed
from bench.measure.paths.compiled import keep_code_in
from bench.measure.paths.export import RUNTIMES, OnnxExport, export_of
from bench.measure.resident import (
    forget_peak,
    measure_in_fork,
    resident_growth,
    tiny_network,
    warm_runtime,
)
from bench.measure.subject import Trunks, build, build_blank, build_example, build_shapes
from bench.record import Memory
from bench.trial import Trial
from se_models.fused.graph import StaticForward

FORWARDS = 2


def measure_memory(trial: Trial, kept: Path | None = None) -> Memory:
    """The growth of a fresh process (CPU), or the allocator's peak (CUDA).

    On the CPU the calling process is forked, so it must not have run an
    operator yet: a thread pool does not survive a fork.

    Args:
        trial: what to build and run.
        kept: the folder of exports and compiled code that the workers of a run share, or
            None to keep none.
    """
    if trial.workload.device == "cuda":
        return _on_cuda(trial)
    with TemporaryDirectory() if kept is None else nullcontext(str(kept)) as folder:
        growth = _growth_in_fork(trial, Path(folder))
    return Memory(trial, resident_growth_bytes=growth, device_peak_bytes=None)


def _on_cuda(trial: Trial) -> Memory:
    warm_runtime("cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    forward = _captured(trial) if trial.path.executor == "cuda_graph" else _run_once(trial)
    _go_on(forward)
    return Memory(
        trial,
        resident_growth_bytes=None,
        device_peak_bytes=torch.cuda.max_memory_allocated() - before,
        device_reserved_bytes=torch.cuda.max_memory_reserved() - reserved,
        device_pool_bytes=forward.pool_bytes if isinstance(forward, StaticForward) else 0,
    )


def _captured(trial: Trial) -> Forward:
    """The trial's forward as a graph; the peak since is that of capturing it."""
    return _started(trial, OnnxExport(), torch.cuda.reset_peak_memory_stats)


def _run_once(trial: Trial) -> Forward:
    """The trial's forward; the peak since is that of running it, and of building it if eager."""
    forward = _started(trial, OnnxExport())
    if not trial.path.is_plain:
        torch.cuda.reset_peak_memory_stats()
    return forward


def _growth_in_fork(trial: Trial, kept: Path) -> int | None:
    if not trial.path.calls_operators:
        # What this one exports or compiles, the next one finds.
        measure_in_fork(lambda: _rehearse(trial, kept))
    return measure_in_fork(lambda: _growth(trial, kept))


def _rehearse(trial: Trial, kept: Path) -> None:
    """Export or compile the tiny network, then the trial, by its path."""
    _set_up(trial, kept)
    _warm_path(trial, kept)
    export = export_of(trial, kept)
    if trial.path.executor not in RUNTIMES:
        _started(trial, export)
    elif not export.is_made:  # of weights that are compared with float64 later
        export.make(*build(trial, Trunks()))


def _growth(trial: Trial, kept: Path) -> int | None:
    _set_up(trial, kept)
    is_forgotten = True

    def build_and_run() -> None:
        nonlocal is_forgotten
        forward = _started(trial, export_of(trial, kept))
        if not trial.path.is_plain:
            is_forgotten = forget_peak()
        _go_on(forward)

    growth = resident_growth(build_and_run, lambda: _warm_path(trial, kept))
    return growth if is_forgotten else None


def _set_up(trial: Trial, kept: Path) -> None:
    """Threads, and a folder apart from the code compiled to be timed: what that takes is told."""
    torch.set_num_threads(trial.workload.threads)
    keep_code_in(kept / "weighed", threads=trial.workload.threads)


def _warm_path(trial: Trial, kept: Path) -> None:
    """Spend what the first network of a process costs by the trial's path."""
    warm_runtime()
    if not trial.path.calls_operators:
        with torch.no_grad():
            executor_of(trial.path, OnnxExport(kept / "tiny.onnx")).prepare(*tiny_network())


def _started(trial: Trial, export: OnnxExport, ahead: Callable[[], None] = lambda: None) -> Forward:
    """The trial's forward, of the export if that is made; it has run once.

    ``ahead`` is called between the model's transform and the executor's part.
    """
    model: nn.Module = build_shapes(trial.variant) if export.is_made else build_blank(trial)
    with torch.no_grad():
        model = transformed(model, trial.path.transform)  # what it was made of is let go
        example = build_example(trial.workload)
        ahead()
        forward = executor_of(trial.path, export).prepare(model, example)
    with torch.inference_mode():
        forward()
    return forward


@torch.inference_mode()
def _go_on(forward: Forward) -> None:
    for _ in range(FORWARDS - 1):
        forward()
