"""The operators that fused blocks are made of, and what each computes.

A block with SE is made of three, in the order squeeze, excite, tail, or of their kin:

    squeeze(x)         z = mean over H and W of x, or of relu(x)          (B, C)
    excite(z)          g = sigmoid(W2 relu(W1 z + b1) + b2), times a factor (B, C)
    tail_(x)           x <- relu(x * gate + bias + shortcut * shortcut_gate)
    tail_squeeze_(x)   the same, and the mean over H and W of what it leaves (B, C)
    scale(x, gate)     x * gate, of every ``stride``-th row and column
    squeeze_excite(x)  squeeze and excite at one call, for what a call takes

Two are for 1x1 convolutions, with what stands around them:

    pointwise(x)           relu((W (x * x_gate) + bias) * gate + shift + shortcut * shortcut_gate),
                           of every ``stride``-th row and column; without its ReLU unless ``relu``
    pointwise_squeeze(x)   the same, and its mean over H and W (B, C)

Their weights lie in blocks of outputs, ``(blocks, inputs, outputs of a block)``, and what comes
out is channels_last. Their kernels are for float32 on the CPU alone.

A gate may belong to another channel than the means it follows from: the first
layer may hold a convolution that stands between. What is not given is 1 where it
would multiply and 0 where it would add. The tails' trailing underscore says that
they work in place, and x may not overlap with any other argument. A feature
map has the shape ``(B, C, H, W)`` and any layout.
Means, gates, factors and biases are float32, for maps of half precision too,
and float64 for maps of float64; weights are of the map's dtype.

Here stands what holds on any device: the schemas, a reference in plain PyTorch
that runs where there is no kernel, shapes for tracing, and arithmetic for
torch's FLOP counter. Kernels take the reference's place for their device
(``cpu/kernels.cpp``, ``cuda/kernels.cu``). There are no gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import register_flop_formula

NAMESPACE = "se_models"
_TAIL = "(Tensor(a!) x, Tensor? shortcut, Tensor? gate, Tensor? bias, Tensor? shortcut_gate)"
_POINTWISE = (
    "(Tensor x, Tensor weight, Tensor? bias, Tensor? x_gate, int stride, Tensor? shortcut, "
    "Tensor? gate, Tensor? shift, Tensor? shortcut_gate, bool relu)"
)
_LAYERS = "Tensor weight1, Tensor? bias1, Tensor weight2, Tensor? bias2, Tensor? factor"
SCHEMAS = (
    "squeeze(Tensor x, bool relu) -> Tensor",
    f"excite(Tensor squeezed, {_LAYERS}) -> Tensor",
    f"squeeze_excite(Tensor x, {_LAYERS}) -> Tensor",
    f"tail_{_TAIL} -> ()",
    f"tail_squeeze_{_TAIL} -> Tensor",
    "scale(Tensor x, Tensor gate, int stride) -> Tensor",
    f"pointwise{_POINTWISE} -> Tensor",
    f"pointwise_squeeze{_POINTWISE} -> (Tensor, Tensor)",
)

# What each operator computes wherever no kernel stands in, by its name.
REFERENCES: dict[str, Callable[..., Any]] = {}

_library = torch.library.Library(NAMESPACE, "DEF")
for _schema in SCHEMAS:
    _library.define(_schema, tags=(torch.Tag.pt2_compliant_tag,))


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of means, gates, factors and biases for maps of ``dtype``."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _reference(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What an operator computes wherever no kernel stands in."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _library.impl(name, function, "CompositeExplicitAutograd")
        REFERENCES[name] = function
        return function

    return register


def _shapes(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What an operator returns, without computing it."""
    register: Callable[[Callable[..., Any]], Callable[..., Any]] = torch.library.register_fake(
        f"{NAMESPACE}::{name}", lib=_library
    )
    return register


@_reference("squeeze")
def _squeeze(x: Tensor, relu: bool) -> Tensor:
    return (F.relu(x) if relu else x).mean(dim=(2, 3), dtype=wide(x.dtype))


@_reference("excite")
def _excite(
    squeezed: Tensor,
    weight1: Tensor,
    bias1: Tensor | None,
    weight2: Tensor,
    bias2: Tensor | None,
    factor: Tensor | None,
) -> Tensor:
    hidden = F.relu(F.linear(squeezed, *_widened(squeezed, weight1, bias1)))
    gate = torch.sigmoid(F.linear(hidden, *_widened(squeezed, weight2, bias2)))
    return gate if factor is None else gate * factor


def _widened(squeezed: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(squeezed.dtype), None if bias is None else bias.to(squeezed.dtype)


@_reference("squeeze_excite")
def _squeeze_excite(x: Tensor, *layers: Tensor | None) -> Tensor:
    gate: Tensor = excite(squeeze(x, False), *layers)  # by their kernels, where they have some
    return gate


@_reference("tail_")
def _tail(x: Tensor, *others: Tensor | None) -> None:
    _add_to_product(x, *others)
    x.relu_()


def _add_to_product(
    x: Tensor,
    shortcut: Tensor | None,
    gate: Tensor | None,
    bias: Tensor | None,
    shortcut_gate: Tensor | None,
) -> None:
    """All of a tail but its ReLU, in place."""
    if gate is not None:
        x.mul_(_over_pixels(gate, x))
    if bias is not None:
        x.add_(_over_pixels(bias[None], x))
    if shortcut_gate is not None:
        assert shortcut is not None
        x.addcmul_(shortcut, _over_pixels(shortcut_gate, x))
    elif shortcut is not None:
        x.add_(shortcut)


def _over_pixels(values: Tensor, x: Tensor) -> Tensor:
    return values[:, :, None, None].to(x.dtype)


@_reference("tail_squeeze_")
def _tail_squeeze(x: Tensor, *others: Tensor | None) -> Tensor:
    _tail(x, *others)
    return _squeeze(x, False)


@_reference("scale")
def _scale(x: Tensor, gate: Tensor, stride: int) -> Tensor:
    scaled = x[:, :, ::stride, ::stride] * _over_pixels(gate, x)
    return scaled.contiguous(memory_format=layout_of(x))


@_reference("pointwise")
def _pointwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    x_gate: Tensor | None,
    stride: int,
    shortcut: Tensor | None,
    gate: Tensor | None,
    shift: Tensor | None,
    shortcut_gate: Tensor | None,
    relu: bool,
) -> Tensor:
    kernel = weight.transpose(1, 2).flatten(0, 1)[:, :, None, None]
    taken = x if x_gate is None else x * _over_pixels(x_gate, x)
    summand = None if bias is None else bias.to(x.dtype)
    y = F.conv2d(taken, kernel, summand, stride).contiguous(memory_format=torch.channels_last)
    _add_to_product(y, shortcut, gate, shift, shortcut_gate)
    return y.relu_() if relu else y


@_reference("pointwise_squeeze")
def _pointwise_squeeze(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    y = _pointwise(x, *others)
    return y, _squeeze(y, False)


def layout_of(x: Tensor) -> torch.memory_format:
    """Of what is made of ``x``: its own, and contiguous where it is neither of the two."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


@_shapes("squeeze")
def _squeeze_shapes(x: Tensor, _relu: bool) -> Tensor:
    return x.new_empty(x.shape[:2], dtype=wide(x.dtype))


@_shapes("excite")
def _excite_shapes(
    squeezed: Tensor,
    _weight1: Tensor,
    _bias1: Tensor | None,
    weight2: Tensor,
    *_others: Tensor | None,
) -> Tensor:
    return squeezed.new_empty((squeezed.shape[0], weight2.shape[0]))


@_shapes("squeeze_excite")
def _squeeze_excite_shapes(x: Tensor, *layers: Tensor | None) -> Tensor:
    return _excite_shapes(_squeeze_shapes(x, False), *layers)


@_shapes("tail_")
def _tail_shapes(*_tensors: Tensor | None) -> None:
    return None


@_shapes("tail_squeeze_")
def _tail_squeeze_shapes(x: Tensor, *_others: Tensor | None) -> Tensor:
    return _squeeze_shapes(x, False)


@_shapes("scale")
def _scale_shapes(x: Tensor, _gate: Tensor, stride: int) -> Tensor:
    return _empty_strided(x, x.shape[1], stride, layout_of(x))


@_shapes("pointwise")
def _pointwise_shapes(
    x: Tensor, weight: Tensor, _bias: object, _x_gate: object, stride: int, *_others: object
) -> Tensor:
    blocks, _, outputs = weight.shape
    return _empty_strided(x, blocks * outputs, stride, torch.channels_last)


@_shapes("pointwise_squeeze")
def _pointwise_squeeze_shapes(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    y = _pointwise_shapes(x, *others)
    return y, _squeeze_shapes(y, False)


def _empty_strided(x: Tensor, channels: int, stride: int, layout: torch.memory_format) -> Tensor:
    """A map of every ``stride``-th row and column of ``x``."""
    batch, _, height, width = x.shape
    rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
    return torch.empty(
        (batch, channels, rows, columns), dtype=x.dtype, device=x.device, memory_format=layout
    )


squeeze = torch.ops.se_models.squeeze.default
excite = torch.ops.se_models.excite.default
squeeze_excite = torch.ops.se_models.squeeze_excite.default
tail_ = torch.ops.se_models.tail_.default
tail_squeeze_ = torch.ops.se_models.tail_squeeze_.default
scale = torch.ops.se_models.scale.default
pointwise = torch.ops.se_models.pointwise.default
pointwise_squeeze = torch.ops.se_models.pointwise_squeeze.default


@register_flop_formula([torch.ops.se_models.excite, torch.ops.se_models.squeeze_excite])
def _excite_flops(
    squeezed: tuple[int, ...],
    weight1: tuple[int, int],
    _bias1: object,
    weight2: tuple[int, int],
    *_others: object,
    **_kwargs: object,
) -> int:
    """Two for each multiply-add of both layers, as torch's counter has it.

    It counts products of matrices and convolutions only, so the operators that
    have none count as nothing.
    """
    return 2 * squeezed[0] * (math.prod(weight1) + math.prod(weight2))


@register_flop_formula([torch.ops.se_models.pointwise, torch.ops.se_models.pointwise_squeeze])
def _pointwise_flops(
    x: tuple[int, int, int, int],
    weight: tuple[int, int, int],
    _bias: object,
    _x_gate: object,
    stride: int,
    *_others: object,
    **_kwargs: object,
) -> int:
    """Those of the convolution."""
    batch, _, height, width = x
    return 2 * batch * -(-height // stride) * -(-width // stride) * math.prod(weight)
