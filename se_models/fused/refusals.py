"""What fused operators refuse on any device: derivatives, layers without hidden units, operands
that do not fit, and to write over what they read.

The CPU's kernels refuse the same by themselves (``cpu/gradients.h``, ``cpu/excite.h``,
``cpu/tail.h``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from se_models.fused.shapes import wide


def has_tangent(x: Tensor) -> bool:
    """Whether forward-mode AD has a derivative to carry through ``x``."""
    if torch.compiler.is_compiling():
        return False  # a trace could not hold the question
    return forward_ad.unpack_dual(x).tangent is not None


def refuse_derivatives(operator: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what torch itself would only warn of, or not even that.

    Args:
        operator: its name.
        arguments: what it is called on.

    Raises:
        RuntimeError: if any of them requires gradients, while these are enabled, or has a tangent.
    """
    backward, forward = torch.is_grad_enabled(), forward_ad._current_level >= 0
    if not backward and not forward:
        return  # ahead of a launch a look at each argument would tell
    for argument in arguments:
        if not isinstance(argument, Tensor):
            continue
        if backward and argument.requires_grad:
            raise RuntimeError(f"{operator} is for inference: no argument may require gradients")
        if forward and has_tangent(argument):
            raise RuntimeError(f"{operator} is for inference: no argument may have a tangent")


def without_derivatives(operator: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind an operator, for whose arguments `refuse_derivatives` is asked first."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        refuse_derivatives(operator, arguments)
        return function(*arguments)

    return run


def refuse_no_units(weight1: Tensor) -> None:
    """Refuse layers of which the first, ``(units, C)``, has no units.

    Raises:
        ValueError: if it has none.
    """
    if weight1.shape[0] < 1:
        raise ValueError(f"weight1 must have at least one hidden unit, got {weight1.shape[0]}")


def refuse_misfits(
    x: Tensor,
    shortcut: Tensor | None,
    of_each_image: Mapping[str, Tensor | None],
    of_all: Mapping[str, Tensor | None],
) -> None:
    """Refuse what does not fit the map that a tail works on, and what torch would stretch to it.

    Args:
        x: the map, ``(B, C, H, W)``.
        shortcut: what is added to it.
        of_each_image: by its name, what has a value for each channel of each image, ``(B, C)``.
        of_all: what has one for each channel, ``(C,)``.

    Raises:
        ValueError: naming the argument, its rule and what it is.
    """
    if x.dim() != 4:
        raise ValueError(f"x must have the shape (B, C, H, W), got {tuple(x.shape)}")
    if shortcut is None and of_each_image.get("shortcut_gate") is not None:
        raise ValueError("shortcut_gate must come with a shortcut")
    rules = [("shortcut", shortcut, x.shape, x.dtype)]
    rules += [(name, each, x.shape[:2], wide(x.dtype)) for name, each in of_each_image.items()]
    rules += [(name, each, x.shape[1:2], wide(x.dtype)) for name, each in of_all.items()]
    for name, given, shape, dtype in rules:
        if given is not None and (given.shape, given.dtype) != (shape, dtype):
            raise ValueError(
                f"{name} must have the shape {tuple(shape)} and be of {dtype}, "
                f"got {tuple(given.shape)} of {given.dtype}"
            )


def refuse_overlap(x: Tensor, shortcut: Tensor) -> None:
    """Refuse a shortcut whose values would be read after ``x`` was written over.

    Raises:
        ValueError: if both are dense and share memory, or begin at the same place.
    """
    begin = x.data_ptr()  # 0 where nothing has values, as on the meta device
    apart = abs(begin - shortcut.data_ptr())
    if begin and apart < x.nbytes and (apart == 0 or (_is_dense(x) and _is_dense(shortcut))):
        raise ValueError("shortcut must not overlap with x, which is written over")


def _is_dense(x: Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
