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
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.dispatch import meta_twin, on_meta

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


class UncountedError(ValueError):
    """A model calls operators that have no handle here."""


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
    """The arithmetic of ``model(example)``; nothing is computed.

    Args:
        model: in eval mode; it is only read.
        example: an input, of which only shape and dtype count, on the model's device.

    Raises:
        ValueError: if the model is in training mode.
        UncountedError: naming the operators that nothing here counts.
        RuntimeError: if ``torch.utils.flop_counter`` disagrees.
    """
    if model.training:
        raise ValueError("model must be in eval mode, got one in training mode")
    if not example.is_meta:
        model, example = meta_twin(model, dtype=example.dtype), example.to("meta")
    counted = _count_by_trace(model, example)
    with on_meta(model), FlopCounterMode(display=False) as counter:
        model(example)
    if counter.get_total_flops() != 2 * counted.macs:
        raise RuntimeError(
            f"fvcore counts {counted.macs} multiply-adds, and torch.utils.flop_counter "
            f"{counter.get_total_flops()} operations, which is not twice as many"
        )
    return counted


def _count_by_trace(twin: nn.Module, example: Tensor) -> Arithmetic:
    analysis = (
        FlopCountAnalysis(_OneModule(twin), (example,))
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .set_op_handle(**{f"aten::{name}": _one_per_output for name in ELEMENTWISE})
    )
    with on_meta(twin), _TracedConvolution():
        analysis.total()
    counts = analysis.by_operator()
    foreign = {f"aten::{name}" for name in counts.keys() - {*MATRIX_PRODUCTS, *ELEMENTWISE}}
    if unsupported := foreign.union(analysis.unsupported_ops()):
        raise UncountedError(
            f"operators must have a handle in {__name__}, got {', '.join(sorted(unsupported))}"
        )
    return Arithmetic(
        macs=sum(counts[name] for name in MATRIX_PRODUCTS),
        elementwise_ops=sum(counts[name] for name in ELEMENTWISE),
    )


def _one_per_output(_inputs: Any, outputs: Any) -> int:
    return prod(outputs[0].type().sizes())


class _OneModule(nn.Module):
    """All of a model as one module without children.

    fvcore hooks every module and keeps a count for each, which takes time, and
    only the sum is wanted here.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # The tracer takes a tensor that requires gradients from its own module alone.
        self.weights = nn.ParameterList(w for w in model.parameters() if w.requires_grad)
        self._run = model.forward  # a bound method: the model itself would become a child

    def forward(self, example: Tensor) -> Any:
        return self._run(example)


class _TracedConvolution(TorchFunctionMode):
    """Lets a convolution on meta tensors be traced, so that fvcore's trace need not compute.

    The tracer hands its sizes to Python as tensors, which meta kernels written
    in Python choke on, unless the operator is one that it records: then it
    steps aside until that returns. Of the operators here it does not record
    ``conv2d`` and ``convolution``, but ``_convolution`` within them, which is
    where fvcore looks; so that is what is called.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and len(args) == 7:  # as nn.Conv2d calls it
            image, weight, bias, stride, padding, dilation, groups = args
            return torch._convolution(
                image, weight, bias, stride, padding, dilation, False, (0, 0), groups,
                False, False, False, False,
            )  # fmt: skip
        return func(*args, **(kwargs or {}))
