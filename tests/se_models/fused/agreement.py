"""How far a twin is from its model, and what either of them calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Model = Callable[[Tensor], Tensor]


def off(model: Model, exact: Model, images: Tensor) -> float:
    """max|a - b| / max|b| of a model against one of float64."""
    with torch.no_grad():
        expected, got = exact(images.double()), model(images)
    assert got.shape == expected.shape
    return float((got.double() - expected).abs().max() / expected.abs().max())


class _Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.names[str(func)] += 1
        return func(*args, **(kwargs or {}))


def calls(model: Model, images: Tensor) -> Counter[str]:
    """How often each operator is called, by its name."""
    with torch.no_grad(), _Calls() as seen:
        model(images)
    return seen.names
