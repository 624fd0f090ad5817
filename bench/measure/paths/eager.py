"""PyTorch as it comes: one operator after the other."""

from __future__ import annotations

from torch import Tensor, nn

from bench.measure.paths.executor import Forward, without_cuda
from bench.trial import Trial


class Eager:
    """Calls the model."""

    def unsupported(self, trial: Trial) -> str | None:
        return without_cuda(trial)

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        def forward() -> Tensor:
            output: Tensor = model(example)
            return output

        return forward
