"""Made-up maps for the fused operators, and what those compute, by their formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from se_models.fused import operators
from se_models.fused.shapes import wide

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
# How far max|a - b| / max|b| may be from float64, of what is stored in each dtype.
TOLERANCE = {
    torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2,
}  # fmt: skip
LAYOUTS = [torch.contiguous_format, torch.channels_last]
# One pixel, odd sizes, fewer values than a vector holds, several pieces of work, several images.
SHAPES = [
    (1, 1, 1, 1), (2, 3, 1, 1), (1, 5, 3, 7), (3, 8, 5, 5), (1, 37, 9, 1), (2, 64, 28, 28),
    (1, 512, 7, 7), (1, 3, 101, 67), (2, 1031, 3, 3),
]  # fmt: skip
# Every choice of shortcut, gate, bias and the shortcut's gate that a tail may be given, a letter
# each; the last comes with a shortcut alone.
EPILOGUES = ("", "s", "g", "b", "sg", "sb", "gb", "sgb", "sh", "sgh", "sbh", "sgbh")


def off(value: Tensor, exact: Tensor) -> float:
    assert value.shape == exact.shape
    return float((value.double() - exact).abs().max() / exact.abs().max().clamp_min(1e-30))


def drawn(*shape: int, dtype: torch.dtype = torch.float32, layout: Any = None) -> Tensor:
    values = torch.randn(shape).to(dtype)
    return values if layout is None else values.contiguous(memory_format=layout)


def reference(name: str) -> Callable[..., Any]:
    """What runs where there is no kernel."""
    return operators.REFERENCES[name]


def exact_tail(
    x: Tensor,
    shortcut: Tensor | None,
    gate: Tensor | None,
    bias: Tensor | None,
    shortcut_gate: Tensor | None,
) -> Tensor:
    """The formula of the module's docstring, in float64."""
    y = x.double()
    if gate is not None:
        y = y * gate.double()[:, :, None, None]
    if bias is not None:
        y = y + bias.double()[None, :, None, None]
    if shortcut is not None:
        gates = 1 if shortcut_gate is None else shortcut_gate.double()[:, :, None, None]
        y = y + shortcut.double() * gates
    return y.clamp_min(0)


def tail_arguments(
    shape: tuple[int, ...], dtype: torch.dtype, given: str, layout: Any
) -> list[Tensor | None]:
    """Shortcut, gate, bias and shortcut's gate, of which those named by a letter are there."""
    batch, channels = shape[:2]
    acc = wide(dtype)
    made = {
        "s": drawn(*shape, dtype=dtype, layout=layout),
        "g": torch.rand(batch, channels).to(acc),
        "b": drawn(channels, dtype=acc),
        "h": torch.rand(batch, channels).to(acc),
    }
    return [tensor if letter in given else None for letter, tensor in made.items()]


def unaligned(x: Tensor) -> Tensor:
    """The same values, one element past where an allocation begins."""
    room = torch.empty(x.numel() + 1, dtype=x.dtype)
    moved = room[1:].as_strided(x.shape, x.stride())
    return moved.copy_(x)


def window(x: Tensor) -> Tensor:
    """The same values as a part of a larger map, so that they lie in no dense layout."""
    room = torch.full((x.shape[0], x.shape[1] + 1, x.shape[2] + 2, x.shape[3] + 3), float("nan"))
    room = room.to(x.dtype)
    return room[:, 1:, 1:-1, 2:-1].copy_(x)


def spread_out(values: Tensor) -> Tensor:
    """The same values with something else between any two of them."""
    room = torch.full((*values.shape, 2), float("nan"), dtype=values.dtype)
    return room[..., 0].copy_(values)


def transposed(x: Tensor) -> Tensor:
    """The same values with height and width changed places in memory."""
    return x.transpose(2, 3).contiguous().transpose(2, 3)
