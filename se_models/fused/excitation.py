"""SE's two layers in a fused block: from a map's means to its gates, and what goes with that."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from se_models.fused.folding import FoldedConv
from se_models.fused.operators import (
    excite,
    excite_scale,
    squeeze,
    squeeze_excite,
    squeeze_excite_tail_,
)
from se_models.fused.packed import can_pack
from se_models.squeeze_excitation import SqueezeExcitation


class Excitation(nn.Module):
    """From a map's means to its gates; tensors are the module's own.

    Args:
        se: whose two layers it uses.
        factor: a value for each channel to multiply the gates by, or None.
        ahead: a 1x1 convolution that stands between the map whose means it is
            given and the one whose means it works on; it becomes part of the first layer.
    """

    weight1: Tensor
    bias1: Tensor | None
    weight2: Tensor
    bias2: Tensor | None
    factor: Tensor | None

    def __init__(
        self, se: SqueezeExcitation, factor: Tensor | None, ahead: FoldedConv | None = None
    ) -> None:
        super().__init__()
        weight1, bias1 = se.fc1.weight.detach().clone(), _own(se.fc1.bias)
        if ahead is not None:
            weight1, bias1 = _joined(ahead, weight1, bias1)
        self.register_buffer("weight1", weight1, persistent=False)
        self.register_buffer("bias1", bias1, persistent=False)
        # Kernels compute gates side by side, so that their weights of one unit should be so, too.
        weight2 = se.fc2.weight.detach().t().contiguous().t()
        self.register_buffer("weight2", weight2, persistent=False)
        self.register_buffer("bias2", _own(se.fc2.bias), persistent=False)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, squeezed: Tensor) -> Tensor:
        gate: Tensor = excite(squeezed, *self.layers())
        return gate

    def of_map(self, x: Tensor) -> Tensor:
        """The gates that follow from the means of ``x``."""
        if not can_pack(x):  # a call is nothing beside a launch, and a compiler's trace has none
            return self(squeeze(x, False))
        gate: Tensor = squeeze_excite(x, *self.layers())
        return gate

    def tail_(
        self, x: Tensor, shortcut: Tensor | None, bias: Tensor | None, shortcut_gate: Tensor | None
    ) -> None:
        """A tail by the gates that follow from the means of ``x``, in place."""
        squeeze_excite_tail_(x, *self.layers(), shortcut, bias, shortcut_gate)

    def scale(self, x: Tensor, squeezed: Tensor) -> Tensor:
        """``x`` times the gates that follow from ``squeezed``."""
        scaled: Tensor = excite_scale(x, squeezed, *self.layers())
        return scaled

    def layers(self) -> tuple[Tensor | None, ...]:
        """What the operators take."""
        return self.weight1, self.bias1, self.weight2, self.bias2, self.factor


def _own(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().clone()


def _joined(ahead: FoldedConv, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """A layer on the means of what a 1x1 convolution puts out, as one on those of what it takes.

    The arithmetic is that of float64.
    """
    dtype, weight = weight.dtype, weight.double()
    summands = [] if bias is None else [bias.double()]
    if ahead.bias is not None:
        summands.append(weight @ ahead.bias.double())
    joined = (weight @ ahead.plain_weight()[:, :, 0, 0].double()).to(dtype)
    return joined, torch.stack(summands).sum(dim=0).to(dtype) if summands else None
