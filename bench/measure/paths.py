"""Ways to execute a model: one small class each.

A path says whether it can run a trial here, and makes of a model and its
input a callable that runs one forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.trial import Path, Trial

Forward = Callable[[], Tensor]


class Executor(Protocol):
    """What every executor offers."""

    def unsupported(self, trial: Trial) -> str | None:
        """Why this machine cannot run ``trial``, or None if it can."""
        ...

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        """A callable that runs one forward of ``model``; it is called with gradients off."""
        ...


class Eager:
    """PyTorch as it comes: one operator after the other."""

    def unsupported(self, trial: Trial) -> str | None:
        if trial.workload.device == "cuda" and not torch.cuda.is_available():
            return "torch sees no CUDA device"
        return None

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        def forward() -> Tensor:
            output: Tensor = model(example)
            return output

        return forward


def executor_of(path: Path) -> Executor:
    """The executor that a path names."""
    match path.executor:
        case "eager":
            return Eager()
