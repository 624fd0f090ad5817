"""What torch's own operators do with the map, or the product, of a fused one: what it may reach.

An operator that computes next to nothing can be no faster than the memory that
its map lies in, and is put beside ``add_``, which moves three bytes for each that
it computes. One that multiplies matrices is put beside torch's product of the
same shapes: of matrices that are laid out for it already, into memory that is
there already, with nothing taken along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from bench.measure.operator_calls import CONVOLUTIONS, OperatorCall

CONTROL, PRODUCT = "add_", "mm"
_POINTWISE = ("pointwise", "pointwise_squeeze", "pointwise_squeeze_excite")
_ITEM_BYTES = 4  # of float32


@dataclass(frozen=True)
class Control:
    """What torch's own operator is given, in float32.

    Attributes:
        name: `CONTROL` or `PRODUCT`.
        shape: of the map that is added to; or rows and inputs, and the outputs of one
            product or of two, the second of which takes what the first puts out.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def moved_bytes(self) -> int:
        """What it must move."""
        if self.name == CONTROL:
            return 3 * prod(self.shape) * _ITEM_BYTES
        rows, *widths = self.shape
        products = (rows * (one + other) + one * other for one, other in pairwise(widths))
        return _ITEM_BYTES * sum(products)

    def prepared(self) -> Callable[[], object]:
        """The call, on tensors of its own, which it leaves with the same values."""
        if self.name == CONTROL:
            x, other = torch.rand(self.shape), torch.rand(self.shape)
            return lambda: x.add_(other, alpha=0)
        rows, *widths = self.shape
        weights = [torch.rand(one, other) for one, other in pairwise(widths)]
        results = [torch.empty(rows, width) for width in widths[1:]]
        given = torch.rand(rows, widths[0])
        factors = list(zip(weights, results, strict=True))

        def times(x: Tensor, factor: tuple[Tensor, Tensor]) -> Tensor:
            weight, result = factor
            return torch.mm(x, weight, out=result)

        return lambda: reduce(times, factors, given)


def control_of(call: OperatorCall) -> Control:
    """What to put ``call`` beside."""
    if call.name in (*_POINTWISE, *CONVOLUTIONS):
        batch, outputs, height, width = call.output_shape
        # A convolution that takes neighbours along has so many times the inputs.
        inputs = call.weight.numel() // outputs
        return Control(PRODUCT, (batch * height * width, inputs, outputs))
    if call.name == "excite":
        units, inputs = call.arguments["weight1"].shape
        return Control(PRODUCT, (len(call.first), inputs, units, call.output_shape[1]))
    return Control(CONTROL, tuple(call.first.shape))
