"""A model made slower by real work, by an amount that can be set: for experiments on the method."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# So small that a row is about a thousandth of a small network's forward.
_CHANNELS, _WIDTH = 32, 16


class Slowed(nn.Module):
    """Runs a convolution of so many rows, then the model; the output is the model's own.

    Work, since a sleeping thread would give its CPU away, and work of the
    model's own kind: what one thread does alone is slowed otherwise than a
    forward when others take a CPU.
    """

    def __init__(self, model: nn.Module, rows: int) -> None:
        super().__init__()
        if rows < 1:
            raise ValueError(f"rows must be a positive integer, got {rows}")
        self.model = model
        self._map = torch.ones(1, _CHANNELS, rows, _WIDTH)
        self._weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3)

    def forward(self, example: Tensor) -> Tensor:
        """``model(example)``, later."""
        F.conv2d(self._map, self._weight, padding=1)
        output: Tensor = self.model(example)
        return output
