"""Multiply-adds and element-wise operations of one forward: the adapter around fvcore.

fvcore counts on a trace, and its defaults leave out most of what SE adds
(mean, sigmoid, multiplication); here every operator has a handle, and one that
has none is an error. ``torch.utils.flop_counter``, which counts otherwise,
must agree.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.dispatch import meta_twin, run_on_meta

with warnings.catch_warnings():
    # fvcore compiles functions with torch.jit.script, which is deprecated, as it is imported.
    warnings.simplefilter("ignore", FutureWarning)
    from fvcore.nn import FlopCountAnalysis

# fvcore's own handles count these, 1 MAC as 1, under these names.
MATRIX_PRODUCTS = ("conv", "linear", "addmm", "mm", "bmm", "matmul")

ELEMENTWISE = (
    "adaptive_avg_pool2d",
    "add",
    "add_",
    "batch_norm",
    "max_pool2d",
    "mean",
    "mul",
    "relu",
    "relu_",
    "sigmoid",
)


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of one forward.

    Attributes:
        macs: multiply-adds of convolutions and matrix products, 1 MAC = 1.
        elementwise_ops: one per output element of every other operator; views
            have none.
    """

    macs: int
    elementwise_ops: int


def count_arithmetic(model: nn.Module, example: Tensor) -> Arithmetic:
    """The arithmetic of ``model(example)``.

    fvcore must trace on a real device and computes as it does; so the trace is
    of one image, whatever the batch, and multiplied by it. The cross-check is
    at the true batch.

    Args:
        model: in float32, on the CPU, in eval mode.
        example: an input ``(B, ...)``; only its shape counts, so it may be meta.

    Raises:
        ValueError: if the model is in training mode.
        NotImplementedError: naming the operators that nothing here counts.
        RuntimeError: if ``torch.utils.flop_counter`` disagrees.
    """
    if model.training:
        raise ValueError("model must be in eval mode, got one in training mode")
    batch, *shape = example.shape
    one = _count_by_trace(model, torch.zeros(1, *shape))
    total = Arithmetic(batch * one.macs, batch * one.elementwise_ops)
    flops = _flops_on_meta(model, example)
    if flops != 2 * total.macs:
        raise RuntimeError(
            f"fvcore counts {total.macs} multiply-adds and torch.utils.flop_counter {flops} "
            "operations, which must be twice as many"
        )
    return total


def _count_by_trace(model: nn.Module, image: Tensor) -> Arithmetic:
    analysis = (
        FlopCountAnalysis(_OneModule(model), (image,))
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .set_op_handle(**{f"aten::{name}": _one_per_output for name in ELEMENTWISE})
    )
    with torch.no_grad():
        analysis.total()
    if unsupported := analysis.unsupported_ops():
        raise NotImplementedError(
            f"operators must have a handle in {__name__}, got {', '.join(sorted(unsupported))}"
        )
    counts = analysis.by_operator()
    return Arithmetic(
        macs=sum(counts[name] for name in MATRIX_PRODUCTS),
        elementwise_ops=sum(counts[name] for name in ELEMENTWISE),
    )


def _one_per_output(_inputs: Any, outputs: Any) -> int:
    return prod(outputs[0].type().sizes())


def _flops_on_meta(model: nn.Module, example: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    run_on_meta(meta_twin(model), torch.empty(example.shape, device="meta"), counter)
    return counter.get_total_flops()


class _OneModule(nn.Module):
    """All of a model as one module without children.

    fvcore keeps a count, and two hooks, for every module, which costs as much
    as a third of a trace; only the sum is wanted here.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # The tracer takes only its module's own parameters for weights.
        self.weights = nn.ParameterList(model.parameters())
        self._run = model.__call__  # a bound method: the model itself would become a child

    def forward(self, image: Tensor) -> Any:
        return self._run(image)
