"""What every executor offers, and what several of them ask of a machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.trial import Trial

# One forward of the input that was prepared for, ``(B, classes)``. The output lasts until the next
# call, which may write into the same memory.
Forward = Callable[[], Tensor]

# What exporting takes, beside torch.
_EXPORTER = ("onnx", "onnxscript")


class Executor(Protocol):
    """A way to run a model."""

    def unsupported(self, trial: Trial) -> str | None:
        """Why this machine cannot run ``trial`` so, or None if it can."""
        ...

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        """A callable that runs one forward of ``model``; both are called with gradients off.

        It uses as many threads as torch does now.
        """
        ...


def without_cuda(trial: Trial) -> str | None:
    """Why a trial on a GPU cannot run here, or None."""
    if trial.workload.device == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return None


def without_packages(extra: str, runtime: str) -> str | None:
    """How to get a runtime that is missing, or what exports models for it; None if all is there."""
    for name, of in ((runtime, extra), *((exporter, "onnx") for exporter in _EXPORTER)):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is not installed: pip install 'se-bench[{of}]'"
    return None


def foreign_to_runtimes(trial: Trial) -> str | None:
    """Why a trial cannot leave torch for another runtime, or None."""
    workload = trial.workload
    if trial.path.transform == "folded":
        return "this runtime folds BatchNorm by itself"
    if trial.path.transform == "fused":
        return "the fused operators exist in torch alone, and this runtime fuses by itself"
    if workload.device != "cpu":
        return f"it is set up for the CPU alone, not for {workload.device}"
    if workload.dtype != "float32":
        return f"it is set up for float32 alone, not for {workload.dtype}"
    if workload.layout != "contiguous":
        return "it chooses its layouts itself, from contiguous input"
    return None
