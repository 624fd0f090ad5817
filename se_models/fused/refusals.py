"""What fused operators refuse on any device: derivatives, layers without hidden units, and to write
over what they read.

The CPU's kernels refuse the same by themselves (``cpu/gradients.h``, ``cpu/excite.h``,
``cpu/tail.h``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


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
