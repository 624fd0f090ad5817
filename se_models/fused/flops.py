"""The arithmetic of the fused operators, by their names, for torch's FLOP counter.

It is given shapes in the place of tensors, and counts products of matrices and
convolutions only: two for each multiply-add. Operators that have none are not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from se_models.fused.shapes import LAYERS

Shape = tuple[int, ...]


def of_layers(squeezed: Shape, weight1: Shape, weight2: Shape) -> int:
    """Both layers of an excitation, of means ``(B, C)``."""
    return 2 * squeezed[0] * (math.prod(weight1) + math.prod(weight2))


def of_convolution(x: Shape, weight: Shape, stride: int) -> int:
    """A 1x1 convolution of a map, by weights in blocks."""
    batch, _, height, width = x
    return 2 * batch * -(-height // stride) * -(-width // stride) * math.prod(weight)


def of_excite(
    squeezed: Shape,
    weight1: Shape,
    _bias1: object,
    weight2: Shape,
    *_others: object,
    **_kwargs: object,
) -> int:
    return of_layers(squeezed, weight1, weight2)


def of_excite_scale(_x: object, *excites: Any, **_kwargs: object) -> int:
    squeezed, weight1, _, weight2 = excites[:4]
    return of_layers(squeezed, weight1, weight2)


def of_pointwise(
    x: Shape,
    weight: Shape,
    _bias: object,
    _x_gate: object,
    stride: int,
    *_others: object,
    **_kwargs: object,
) -> int:
    return of_convolution(x, weight, stride)


def of_pointwise_squeeze_excite(x: Shape, *others: Any, **_kwargs: object) -> int:
    weight, _, _, stride = others[:4]
    blocks, _, outputs = weight
    weight1, _, weight2 = others[-LAYERS:][:3]
    means = (x[0], blocks * outputs)
    return of_convolution(x, weight, stride) + of_layers(means, weight1, weight2)


FLOPS: dict[str, Callable[..., int]] = {
    "excite": of_excite,
    "squeeze_excite": of_excite,
    "squeeze_excite_tail_": of_excite,
    "excite_scale": of_excite_scale,
    "pointwise": of_pointwise,
    "pointwise_squeeze": of_pointwise,
    "pointwise_squeeze_excite": of_pointwise_squeeze_excite,
}
