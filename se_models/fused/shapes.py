"""What the fused operators return, by their names, without computing it: for tracing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LAYERS = 5  # arguments: two weights with their biases, and a factor


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of means, gates, factors and biases for maps of ``dtype``."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def layout_of(x: Tensor) -> torch.memory_format:
    """Of what is made of ``x``: its own, and contiguous where it is neither of the two."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def of_squeeze(x: Tensor, _relu: bool) -> Tensor:
    return x.new_empty(x.shape[:2], dtype=wide(x.dtype))


def of_excite(
    squeezed: Tensor,
    _weight1: Tensor,
    _bias1: Tensor | None,
    weight2: Tensor,
    *_others: Tensor | None,
) -> Tensor:
    return squeezed.new_empty((squeezed.shape[0], weight2.shape[0]))


def of_squeeze_excite(x: Tensor, *layers: Any) -> Tensor:
    return of_excite(of_squeeze(x, False), *layers)


def of_squeeze_excite_tail(*_tensors: Tensor | None) -> None:
    return None


def of_excite_scale(x: Tensor, *_others: Tensor | None) -> Tensor:
    return _empty_strided(x, x.shape[1], 1, layout_of(x))


def of_tail(*_tensors: Tensor | None) -> None:
    return None


def of_tail_squeeze(x: Tensor, *_others: Tensor | None) -> Tensor:
    return of_squeeze(x, False)


def of_scale(x: Tensor, _gate: Tensor, stride: int) -> Tensor:
    return _empty_strided(x, x.shape[1], stride, layout_of(x))


def of_pointwise(
    x: Tensor, weight: Tensor, _bias: object, _x_gate: object, stride: int, *_others: object
) -> Tensor:
    blocks, _, outputs = weight.shape
    return _empty_strided(x, blocks * outputs, stride, torch.channels_last)


def of_pointwise_squeeze(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    y = of_pointwise(x, *others)
    return y, of_squeeze(y, False)


def of_pointwise_squeeze_excite(x: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    y, means = of_pointwise_squeeze(x, *others)
    return y, means, of_excite(means, *others[-LAYERS:])


def _empty_strided(x: Tensor, channels: int, stride: int, layout: torch.memory_format) -> Tensor:
    """A map of every ``stride``-th row and column of ``x``."""
    batch, _, height, width = x.shape
    rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
    return torch.empty(
        (batch, channels, rows, columns), dtype=x.dtype, device=x.device, memory_format=layout
    )


SHAPES: dict[str, Callable[..., Any]] = {
    "squeeze": of_squeeze,
    "excite": of_excite,
    "squeeze_excite": of_squeeze_excite,
    "squeeze_excite_tail_": of_squeeze_excite_tail,
    "excite_scale": of_excite_scale,
    "tail_": of_tail,
    "tail_squeeze_": of_tail_squeeze,
    "scale": of_scale,
    "pointwise": of_pointwise,
    "pointwise_squeeze": of_pointwise_squeeze,
    "pointwise_squeeze_excite": of_pointwise_squeeze_excite,
}
