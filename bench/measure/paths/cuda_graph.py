"""A forward captured once as a CUDA graph, and replayed."""

from __future__ import annotations

from torch import Tensor, nn

from bench.measure.paths.executor import Forward, without_cuda
from bench.trial import Trial
from se_models.fused import capture


class CudaGraph:
    """Replays on an input that stays where it is, and write into the same output every time."""

    def unsupported(self, trial: Trial) -> str | None:
        if trial.workload.device != "cuda":
            return "CUDA graphs are for CUDA devices"
        return without_cuda(trial)

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        return capture(model, example, graphs=1).static(example)
