"""OpenVINO on the CPU, from an export of the model for the shape of its input.

It reads ONNX. Converting torch's model takes it twice as long as exporting, and
what comes of it is no faster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.measure.paths.executor import Forward, foreign_to_runtimes, without_packages
from bench.measure.paths.export import OnnxExport
from bench.trial import Trial


class OpenVino:
    """One request at a time, on as many threads as torch has, in float32."""

    def __init__(self, export: OnnxExport) -> None:
        self._export = export

    def unsupported(self, trial: Trial) -> str | None:
        return foreign_to_runtimes(trial) or without_packages("openvino", "openvino")

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        import openvino

        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        core = openvino.Core()
        with self._export.loadable(model, example) as file:
            compiled = core.compile_model(core.read_model(file), "CPU", settings)
        request = compiled.create_infer_request()
        given = openvino.Tensor(example.numpy(), shared_memory=True)

        def forward() -> Tensor:
            request.infer([given])
            return torch.from_numpy(request.get_output_tensor().data)

        return forward
