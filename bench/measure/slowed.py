"""A model made slower by real work, by an amount that can be set: for experiments on the method."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# So small that a call of the operator costs about a microsecond: many of them make a percent.
_SHAPE = (64,)


class Slowed(nn.Module):
    """Runs a small operator so many times, then the model; the output is the model's own.

    Work, since a sleeping thread would give its CPU away, which no slower model does.
    """

    def __init__(self, model: nn.Module, operators: int) -> None:
        super().__init__()
        if operators < 1:
            raise ValueError(f"operators must be a positive integer, got {operators}")
        self.model = model
        self.operators = operators
        self._small = torch.ones(_SHAPE)

    def forward(self, example: Tensor) -> Tensor:
        """``model(example)``, later."""
        for _ in range(self.operators):
            torch.relu(self._small)
        output: Tensor = self.model(example)
        return output
