"""Residual blocks for inference, each made from a block of `se_models.blocks` or torchvision.

A block's convolutions run as they are, with BatchNorm folded into them. All
that follows the last of them, up to the block's output, is one pass over the
feature map (``tail_``). With F the folded branch, S the folded shortcut, z the
means over a map and g the gate that follows from them:

    none        relu(F(x) + S(x))
    standard    relu(F(x) * g + S(x))
    prenorm     relu(F'(x) * (g a) + b + S(x)): F' without its last BatchNorm, whose a and b
                go into gate and bias
    post        y = relu(F(x) + S(x)), whose pass also takes z; then y * g
    identity    relu(F(x) + x * g), or S(x * g) where the shortcut is a projection
    pre         the first convolution takes x * g
    inner       the last convolution takes relu(h) * g, and z is taken of relu(h)

``pre`` and ``identity`` need the means of the block's input: they are taken in
the pass that made it, the tail of the block before. ``post`` knows the means of
its output without looking: those of y, times g.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models.blocks import SEBlock
from se_models.config import Placement
from se_models.fused.eligibility import BOTTLENECK
from se_models.fused.folding import FoldedConv, affine
from se_models.fused.operators import excite, squeeze, tail_, tail_squeeze_, wide
from se_models.squeeze_excitation import SqueezeExcitation


class Excitation(nn.Module):
    """From a map's means to its gates; tensors are the module's own.

    Args:
        se: whose two layers it uses.
        factor: a value for each channel to multiply the gates by, or None.
    """

    weight1: Tensor
    bias1: Tensor | None
    weight2: Tensor
    bias2: Tensor | None
    factor: Tensor | None

    def __init__(self, se: SqueezeExcitation, factor: Tensor | None) -> None:
        super().__init__()
        for number, layer in enumerate((se.fc1, se.fc2), start=1):
            bias = None if layer.bias is None else layer.bias.detach().clone()
            self.register_buffer(f"weight{number}", layer.weight.detach().clone(), persistent=False)
            self.register_buffer(f"bias{number}", bias, persistent=False)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, squeezed: Tensor) -> Tensor:
        gate: Tensor = excite(
            squeezed, self.weight1, self.bias1, self.weight2, self.bias2, self.factor
        )
        return gate


class FusedBlock(nn.Module):
    """A residual block in any placement, plain ones included.

    Attributes:
        wants_means: whether it needs the means of its input.
        tells_means: whether it is to take the means of its output; the network sets it.
    """

    bias: Tensor | None

    def __init__(self, block: BasicBlock | Bottleneck | SEBlock) -> None:
        super().__init__()
        self.placement: Placement = block.placement if isinstance(block, SEBlock) else "none"
        conv, norm = block.conv2, block.bn2
        self.middle: FoldedConv | None = None
        if isinstance(block, BOTTLENECK):
            self.middle = FoldedConv(conv, norm)
            conv, norm = block.conv3, block.bn3
        factor = bias = None
        if self.placement == "prenorm":
            factor, bias = affine(norm, wide(conv.weight.dtype))
            norm = None
        self.first = FoldedConv(block.conv1, block.bn1)
        self.last = FoldedConv(conv, norm)
        self.register_buffer("bias", bias, persistent=False)
        self.excitation = Excitation(block.se, factor) if isinstance(block, SEBlock) else None
        self.downsample: FoldedConv | None = None
        if isinstance(block.downsample, nn.Sequential):
            self.downsample = FoldedConv(*block.downsample)
        self.wants_means = self.placement in ("pre", "identity")
        self.tells_means = False

    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The block's output, and its means if it is to tell them.

        Args:
            x: ``(B, C, H, W)``; it is left as it is.
            means: of ``x``, where the block wants them.
        """
        match self.placement:
            case "standard" | "prenorm":
                y = self._branch(x)
                return self._tail(y, self._shortcut(x), gate=self._gate(squeeze(y, False)))
            case "post":
                y = self._branch(x)
                squeezed = tail_squeeze_(y, self._shortcut(x), None, None, None)
                gate = self._gate(squeezed)
                tail_(y, None, gate, None, None)
                return y, squeezed * gate if self.tells_means else None
            case "identity":
                gate = self._gate(means)
                if self.downsample is None:
                    return self._tail(self._branch(x), x, shortcut_gate=gate)
                return self._tail(self._branch(x), self.downsample.scaled(x, gate))
            case "pre":
                return self._tail(self._branch(x, self._gate(means)), self._shortcut(x))
            case "inner":
                return self._tail(self._branch_with_inner(x), self._shortcut(x))
            case _:
                return self._tail(self._branch(x), self._shortcut(x))

    def _branch(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """F of x, or of x * gate."""
        y = self.first(x) if gate is None else self.first.scaled(x, gate)
        if self.middle is not None:
            y = self.middle(torch.relu_(y))
        return self.last(torch.relu_(y))

    def _branch_with_inner(self, x: Tensor) -> Tensor:
        """F with a gate ahead of its last convolution, behind the ReLU there.

        The ReLU is taken along by whichever pass writes the map anyway.
        """
        h = self.first(x)
        if self.middle is not None:
            h = self.middle(torch.relu_(h))
        if self.last.gates_weights(h):
            return self.last.scaled(h, self._gate(tail_squeeze_(h, None, None, None, None)))
        tail_(h, None, self._gate(squeeze(h, True)), None, None)
        return self.last(h)

    def _shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(x)

    def _gate(self, means: Tensor | None) -> Tensor:
        assert self.excitation is not None
        assert means is not None
        gate: Tensor = self.excitation(means)
        return gate

    def _tail(
        self,
        y: Tensor,
        shortcut: Tensor,
        *,
        gate: Tensor | None = None,
        shortcut_gate: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        if self.tells_means:
            return y, tail_squeeze_(y, shortcut, gate, self.bias, shortcut_gate)
        tail_(y, shortcut, gate, self.bias, shortcut_gate)
        return y, None
