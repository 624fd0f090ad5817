"""A forward captured once as a CUDA graph, by torch's own means, and replayed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.measure.paths.executor import Forward, without_cuda
from bench.trial import Trial

# Before a capture libraries set themselves up, which a capture forbids.
_WARM_UP = 3


class CudaGraph:
    """Replays write into the same output every time."""

    def unsupported(self, trial: Trial) -> str | None:
        if trial.workload.device != "cuda":
            return "CUDA graphs are for CUDA devices"
        return without_cuda(trial)

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                model(example)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output: Tensor = model(example)

        def forward() -> Tensor:
            graph.replay()
            return output

        return forward
