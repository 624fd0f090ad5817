"""Ways to execute a model: a transform of it, then an executor, a small class each.

An executor says whether it can run a trial here, and makes of a model and its
input a callable that runs one forward.
"""

from __future__ import annotations

from torch import nn

from bench.measure.paths.compiled import Compile
from bench.measure.paths.cuda_graph import CudaGraph
from bench.measure.paths.eager import Eager
from bench.measure.paths.executor import Executor, Forward
from bench.measure.paths.export import OnnxExport
from bench.measure.paths.onnx import OnnxRuntime
from bench.measure.paths.openvino import OpenVino
from bench.trial import Path, Transform, Trial
from se_models.fused import fold, fuse
from se_models.fused.kernels import missing

__all__ = ["Executor", "Forward", "executor_of", "transformed", "unsupported"]


def executor_of(path: Path, export: OnnxExport | None = None) -> Executor:
    """The executor that a path names; ``export`` is the file of those that load one."""
    match path.executor:
        case "eager":
            return Eager()
        case "compile":
            return Compile(freezing=False)
        case "compile_freezing":
            return Compile(freezing=True)
        case "onnxruntime":
            return OnnxRuntime(export or OnnxExport())
        case "openvino":
            return OpenVino(export or OnnxExport())
        case "cuda_graph":
            return CudaGraph()


def transformed(model: nn.Module, transform: Transform) -> nn.Module:
    """What a path's executor is given: the model itself, or its twin."""
    match transform:
        case "none":
            return model
        case "folded":
            return fold(model, keep_state=False)
        case "fused":
            return fuse(model, keep_state=False)


def unsupported(trial: Trial) -> str | None:
    """Why this machine cannot run a trial, or None if it can.

    A fused trial needs kernels, which are built here if need be: the reference
    in plain PyTorch, which would run without them, is no fused path.
    """
    reason = executor_of(trial.path).unsupported(trial)
    if reason is not None or trial.path.transform != "fused":
        return reason
    device = trial.workload.device
    why = missing(device)
    return None if why is None else f"there are no kernels for fused blocks on {device}: {why}"
