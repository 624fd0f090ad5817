"""The operators that fused blocks are made of, and what each computes.

A block with SE is made of three, in the order squeeze, excite, tail, or of their kin:

    squeeze(x)         z = mean over H and W of x, or of relu(x)          (B, C)
    excite(z)          g = sigmoid(W2 relu(W1 z + b1) + b2), times a factor (B, C)
    tail_(x)           x <- relu(x * gate + bias + shortcut * shortcut_gate)
    tail_squeeze_(x)   the same, and the mean over H and W of what it leaves (B, C)
    scale(x, gate)     x * gate, of every ``stride``-th row and column

Three are several at one call, for what a call takes on the CPU:

    squeeze_excite(x)        squeeze and excite
    squeeze_excite_tail_(x)  and the tail behind them, by that gate
    excite_scale(x, z)       excite and scale

Three are for 1x1 convolutions, with what stands around them:

    pointwise(x)           relu((W (x * x_gate) + bias) * gate + shift + shortcut * shortcut_gate),
                           of every ``stride``-th row and column; without its ReLU unless ``relu``
    pointwise_squeeze(x)   the same, and its mean over H and W (B, C)
    pointwise_squeeze_excite(x)   and the gate that follows from these

Their weights lie in blocks of outputs, ``(blocks, inputs, outputs of a block)``, and what comes
out is channels_last. Their kernels are for float32 on the CPU alone.

A gate may belong to another channel than the means it follows from: the first
layer may hold a convolution that stands between. What is not given is 1 where it
would multiply and 0 where it would add. The tails' trailing underscore says that
they work in place, and x may not overlap with any other argument: a shortcut that
would be written over before it is read is refused. A feature map has the shape
``(B, C, H, W)`` and any layout. Means, gates, factors and biases are float32, for maps of
half precision too, and float64 for maps of float64; weights are of the map's dtype. Kernels
take a tail's means of what it leaves before that is rounded to the map's dtype.

Here stands what holds on any device: the schemas, a reference in plain PyTorch
that runs where there is no kernel; `shapes` has those for tracing, and `flops` arithmetic
for torch's FLOP counter. Kernels take the reference's place for their device
(``cpu/kernels.cpp``, ``cuda/kernels.cu``). There are no derivatives: asked for, they are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import register_flop_formula

from se_models.fused.flops import FLOPS
from se_models.fused.refusals import (
    refuse_misfits,
    refuse_no_units,
    refuse_overlap,
    without_derivatives,
)
from se_models.fused.shapes import LAYERS, SHAPES, layout_of, wide

NAMESPACE = "se_models"
_ADDED = "Tensor? bias, Tensor? shortcut_gate"
_TAIL = f"(Tensor(a!) x, Tensor? shortcut, Tensor? gate, {_ADDED})"
_POINTWISE = (
    "Tensor x, Tensor weight, Tensor? bias, Tensor? x_gate, int stride, Tensor? shortcut, "
    "Tensor? gate, Tensor? shift, Tensor? shortcut_gate, bool relu"
)
_LAYERS = "Tensor weight1, Tensor? bias1, Tensor weight2, Tensor? bias2, Tensor? factor"
SCHEMAS = (
    "squeeze(Tensor x, bool relu) -> Tensor",
    f"excite(Tensor squeezed, {_LAYERS}) -> Tensor",
    f"tail_{_TAIL} -> ()",
    f"tail_squeeze_{_TAIL} -> Tensor",
    "scale(Tensor x, Tensor gate, int stride) -> Tensor",
    f"squeeze_excite(Tensor x, {_LAYERS}) -> Tensor",
    f"squeeze_excite_tail_(Tensor(a!) x, {_LAYERS}, Tensor? shortcut, {_ADDED}) -> ()",
    f"excite_scale(Tensor x, Tensor squeezed, {_LAYERS}) -> Tensor",
    f"pointwise({_POINTWISE}) -> Tensor",
    f"pointwise_squeeze({_POINTWISE}) -> (Tensor, Tensor)",
    f"pointwise_squeeze_excite({_POINTWISE}, {_LAYERS}) -> (Tensor, Tensor, Tensor)",
)

# What each operator computes wherever no kernel stands in, by its name.
REFERENCES: dict[str, Callable[..., Any]] = {}

_library = torch.library.Library(NAMESPACE, "DEF")
for _schema in SCHEMAS:
    _library.define(_schema, tags=(torch.Tag.pt2_compliant_tag,))


def _reference(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What an operator computes wherever no kernel stands in."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        # Whoever has no kernels for the CPU has nobody else who refuses.
        REFERENCES[name] = without_derivatives(f"{NAMESPACE}::{name}", function)
        _library.impl(name, REFERENCES[name], "CompositeExplicitAutograd")
        return function

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
    refuse_no_units(weight1)
    hidden = F.relu(F.linear(squeezed, *_widened(squeezed, weight1, bias1)))
    gate = torch.sigmoid(F.linear(hidden, *_widened(squeezed, weight2, bias2)))
    return gate if factor is None else gate * factor


def _widened(squeezed: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(squeezed.dtype), None if bias is None else bias.to(squeezed.dtype)


@_reference("squeeze_excite")
def _squeeze_excite(x: Tensor, *layers: Tensor | None) -> Tensor:
    gate: Tensor = excite(squeeze(x, False), *layers)  # by their kernels, where they have some
    return gate


@_reference("squeeze_excite_tail_")
def _squeeze_excite_tail(
    x: Tensor,
    weight1: Tensor,
    bias1: Tensor | None,
    weight2: Tensor,
    bias2: Tensor | None,
    factor: Tensor | None,
    shortcut: Tensor | None,
    *others: Tensor | None,
) -> None:
    gate = _squeeze_excite(x, weight1, bias1, weight2, bias2, factor)
    tail_(x, shortcut, gate, *others)


@_reference("excite_scale")
def _excite_scale(x: Tensor, squeezed: Tensor, *layers: Tensor | None) -> Tensor:
    scaled: Tensor = scale(x, excite(squeezed, *layers), 1)
    return scaled


@_reference("tail_")
def _tail(x: Tensor, *others: Tensor | None) -> None:
    shortcut, gate, bias, shortcut_gate = others
    refuse_misfits(x, shortcut, {"gate": gate, "shortcut_gate": shortcut_gate}, {"bias": bias})
    if shortcut is not None:
        refuse_overlap(x, shortcut)
    _add_to_product(x, *(_apart(x, each) for each in others))
    x.relu_()


def _apart(x: Tensor, other: Tensor | None) -> Tensor | None:
    """A copy of ``other`` if it lies in the same memory as ``x``, which is written over."""
    if other is None or other.untyped_storage().data_ptr() != x.untyped_storage().data_ptr():
        return other
    return other.clone()


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
    if shortcut is not None and shortcut_gate is not None:
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
    refuse_misfits(y, shortcut, {"gate": gate, "shortcut_gate": shortcut_gate}, {"shift": shift})
    _add_to_product(y, shortcut, gate, shift, shortcut_gate)
    return y.relu_() if relu else y


@_reference("pointwise_squeeze")
def _pointwise_squeeze(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    y = _pointwise(x, *others)
    return y, _squeeze(y, False)


@_reference("pointwise_squeeze_excite")
def _pointwise_squeeze_excite(x: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    y, means = pointwise_squeeze(x, *others[:-LAYERS])
    return y, means, excite(means, *others[-LAYERS:])


for _name, _shapes in SHAPES.items():
    torch.library.register_fake(f"{NAMESPACE}::{_name}", _shapes, lib=_library)
for _name, _flops in FLOPS.items():
    register_flop_formula([getattr(torch.ops.se_models, _name)])(_flops)

squeeze = torch.ops.se_models.squeeze.default
excite = torch.ops.se_models.excite.default
tail_ = torch.ops.se_models.tail_.default
tail_squeeze_ = torch.ops.se_models.tail_squeeze_.default
scale = torch.ops.se_models.scale.default
squeeze_excite = torch.ops.se_models.squeeze_excite.default
squeeze_excite_tail_ = torch.ops.se_models.squeeze_excite_tail_.default
excite_scale = torch.ops.se_models.excite_scale.default
pointwise = torch.ops.se_models.pointwise.default
pointwise_squeeze = torch.ops.se_models.pointwise_squeeze.default
pointwise_squeeze_excite = torch.ops.se_models.pointwise_squeeze_excite.default
