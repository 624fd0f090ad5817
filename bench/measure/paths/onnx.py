"""onnxruntime on the CPU, from an export of the model for the shape of its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.measure.paths.executor import Forward, foreign_to_runtimes, without_packages
from bench.measure.paths.export import OnnxExport
from bench.trial import Trial
from se_models.export import INPUT


class OnnxRuntime:
    """A session with as many threads as torch has, which sleep between forwards.

    While a forward runs they spin, as they do where models are deployed; when
    it returns they stop, or they would take the CPUs from the next arm.
    """

    def __init__(self, export: OnnxExport) -> None:
        self._export = export

    def unsupported(self, trial: Trial) -> str | None:
        return foreign_to_runtimes(trial) or without_packages("onnx", "onnxruntime")

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.force_spinning_stop", "1")
        with self._export.loadable(model, example) as file:
            session = onnxruntime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
        given = {INPUT: example.numpy()}

        def forward() -> Tensor:
            (output,) = session.run(None, given)
            return torch.from_numpy(output)

        return forward
