"""How many operators a forward calls, and the bytes they would move if each cached perfectly."""

from __future__ import annotations

from functools import cache
from math import prod

import torch
from torch import Tensor
from torch._ops import OpOverload

from bench.measure.dispatch import Call, memory_of
from se_models.fused import operators

aten = torch.ops.aten

# Whose operators a model is made of; others, such as ``prim``, are bookkeeping.
NAMESPACES = ("aten", "mkldnn", operators.NAMESPACE)

# They compute nothing and move nothing. Batch normalisation, for one, makes an
# empty tensor a call for what only its backward would need.
ALLOCATIONS = (
    aten.empty,
    aten.empty_like,
    aten.empty_strided,
    aten.new_empty,
    aten.new_empty_strided,
)

# Their arithmetic is multiply-adds; that of all others is one operation per output element.
MATRIX_PRODUCTS = (aten.convolution, aten.addmm, aten.mm, aten.bmm, aten.baddbmm)


class Traffic:
    """Sums over the operators of a forward, as an observer of its calls.

    Attributes:
        operators: calls of ATen's operators, and of the fused ones, that are
            neither views nor mere allocations. A copy (``_to_copy``) is an operator.
        ideal_bytes: for each of them the distinct tensors read, weights
            included, and the distinct tensors written, all outputs included
            (the indices of max pooling are). An in-place operator reads its
            tensor and writes it.
        elementwise_outputs: the elements of the first output of each that is
            no convolution and no matrix product; the others are statistics
            and indices that come with it.
    """

    def __init__(self) -> None:
        self.operators = 0
        self.ideal_bytes = 0
        self.elementwise_outputs = 0

    def see(self, call: Call) -> None:
        if not is_operator(call.operator):
            return
        self.operators += 1
        self.ideal_bytes += _distinct_bytes(call.inputs) + _distinct_bytes(call.outputs)
        if call.operator.overloadpacket not in MATRIX_PRODUCTS:
            self.elementwise_outputs += call.outputs[0].numel()


@cache
def is_operator(operator: OpOverload) -> bool:
    """Whether a call of ``operator`` does work: it is no view and no allocation.

    An operator that makes its own tensor a view is one too: on channels_last,
    pooling to one pixel ends in an ``as_strided_``.
    """
    return (
        operator.namespace in NAMESPACES
        and not operator.is_view
        and torch.Tag.inplace_view not in operator.tags
        and operator.overloadpacket not in ALLOCATIONS
    )


def _distinct_bytes(tensors: tuple[Tensor, ...]) -> int:
    distinct = {
        (memory_of(tensor)[0], tensor.storage_offset(), tensor.shape): tensor.itemsize
        for tensor in tensors
    }
    return sum(prod(shape) * itemsize for (_, _, shape), itemsize in distinct.items())
