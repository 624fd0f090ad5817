"""The hook by which a model that shares its trunk's tensors refuses what would write to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class InferenceOnly:
    """A forward pre-hook that refuses gradients and training mode; it changes nothing.

    It runs in every forward, so it looks at no more modules than it must.

    Args:
        norms: whose statistics a forward in training mode would write.
    """

    def __init__(self, norms: Sequence[nn.Module]) -> None:
        self._norms = tuple(norms)

    def __call__(self, part: nn.Module, _inputs: Any) -> None:
        """Refuse a call of ``part``.

        Raises:
            RuntimeError: with gradients enabled, or where it or a norm is in training mode.
        """
        if torch.is_grad_enabled() or part.training or any(norm.training for norm in self._norms):
            raise RuntimeError(
                "a model with share_trunk=True is for inference only: call it in eval mode "
                "and under torch.no_grad() or torch.inference_mode()"
            )
