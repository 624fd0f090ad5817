"""Whether an operator on kernels is its formula in float64, on maps of one shape."""

from __future__ import annotations

from typing import Any

import torch

from se_models.fused.cuda.dispatch import Operators
from tests.se_models.fused.maps import TOLERANCE, drawn, exact_tail, off, tail_arguments


def check_tail(
    ours: Operators, shape: tuple[int, ...], dtype: torch.dtype, layout: Any, given: str
) -> None:
    """In place, with its means or without; the means are float32's, of values not yet rounded."""
    x = drawn(*shape, dtype=dtype, layout=layout)
    arguments = tail_arguments(shape, dtype, given, layout)
    exact = exact_tail(x, *arguments)
    one, other = x.clone(), x.clone()
    means = ours.tail_squeeze_(one, *arguments)
    ours.tail_(other, *arguments)
    assert off(one, exact) <= TOLERANCE[dtype], (shape, given)
    assert torch.equal(one, other), (shape, given)
    assert off(means, exact.mean(dim=(2, 3))) <= TOLERANCE[means.dtype], (shape, given)


def check_squeeze(
    ours: Operators, shape: tuple[int, ...], dtype: torch.dtype, layout: Any, *, relu: bool
) -> None:
    """Of the map or of its ReLU; the map stays as it is."""
    x = drawn(*shape, dtype=dtype, layout=layout)
    before = x.clone()
    values = x.double().clamp_min(0) if relu else x.double()
    # Off by a part of what is added up, for sums may cancel.
    added = values.abs().mean(dim=(2, 3)).max().clamp_min(1e-30)
    error = (ours.squeeze(x, relu).double() - values.mean(dim=(2, 3))).abs().max() / added
    assert error <= TOLERANCE[torch.float32], shape
    assert torch.equal(x, before)


def check_scale(
    ours: Operators, shape: tuple[int, ...], dtype: torch.dtype, layout: Any, *, stride: int
) -> None:
    """Into a map of its own, in the same layout."""
    x = drawn(*shape, dtype=dtype, layout=layout)
    gate = torch.rand(shape[:2])
    exact = x.double()[:, :, ::stride, ::stride] * gate.double()[:, :, None, None]
    y = ours.scale(x, gate, stride)
    assert off(y, exact) <= TOLERANCE[dtype], shape
    assert y.is_contiguous(memory_format=layout)
