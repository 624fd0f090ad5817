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
its output without looking: those of y, times g. ``standard`` and ``prenorm`` of
a bottleneck need no look at F(x) either: its means are the last convolution, a
1x1 one, of the means of what it takes, which are taken where that is rectified.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models.blocks import SEBlock
from se_models.config import Placement
from se_models.fused.eligibility import BOTTLENECK
from se_models.fused.folding import FoldedConv, affine, is_pointwise
from se_models.fused.operators import excite, squeeze, tail_, tail_squeeze_, wide
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
        weight2 = se.fc2.weight.detach()
        # CUDA's kernel gives each thread a gate, so that neighbours should be of one unit.
        laid_out = weight2.t().contiguous().t() if weight2.is_cuda else weight2.clone()
        self.register_buffer("weight2", laid_out, persistent=False)
        self.register_buffer("bias2", _own(se.fc2.bias), persistent=False)
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
            self.middle = FoldedConv(conv, norm, packs=True)
            conv, norm = block.conv3, block.bn3
        factor = bias = None
        if self.placement == "prenorm":
            factor, bias = affine(norm, wide(conv.weight.dtype))
            norm = None
        self.first = FoldedConv(block.conv1, block.bn1, packs=True)
        self.last = FoldedConv(conv, norm, packs=True)
        self.register_buffer("bias", bias, persistent=False)
        self.squeezes_ahead = self.placement in ("standard", "prenorm") and is_pointwise(conv)
        self.excitation: Excitation | None = None
        if isinstance(block, SEBlock):
            ahead = self.last if self.squeezes_ahead else None
            self.excitation = Excitation(block.se, factor, ahead)
        self.downsample: FoldedConv | None = None
        if isinstance(block.downsample, nn.Sequential):
            self.downsample = FoldedConv(*block.downsample, packs=True)
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
                y, gate = self._branch_and_gate(x)
                return self._tail(y, self._shortcut(x), gate=gate)
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
        return self.last(self._ahead_of_last(x, gate, relu=True))

    def _branch_and_gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """F of x, and the gate that follows from its means."""
        if self.squeezes_ahead:
            h, means = self._rectified_with_means(x)
            return self.last(h), self._gate(means)
        y = self.last(self._ahead_of_last(x, relu=True))
        return y, self._gate(squeeze(y, False))

    def _ahead_of_last(
        self, x: Tensor, gate: Tensor | None = None, *, relu: bool = False
    ) -> Tensor:
        """What the last convolution is given, or, unless ``relu``, what is to be rectified yet."""
        if self.middle is None:
            return self._first(x, gate, relu=relu)
        return self.middle(self._first(x, gate, relu=True), relu=relu)

    def _first(self, x: Tensor, gate: Tensor | None, *, relu: bool) -> Tensor:
        """The first convolution of x, or of x * gate."""
        if gate is None:
            return self.first(x, relu=relu)
        return self.first.scaled(x, gate, relu=relu)

    def _rectified_with_means(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the last convolution takes, and its means."""
        if can_pack(x):  # the convolution ahead rectifies by itself, and a look at it is left
            h = self._ahead_of_last(x, relu=True)
            return h, squeeze(h, False)
        h = self._ahead_of_last(x)
        return h, tail_squeeze_(h, None, None, None, None)

    def _branch_with_inner(self, x: Tensor) -> Tensor:
        """F with a gate ahead of its last convolution, behind the ReLU there.

        The ReLU is taken along by whichever pass writes the map anyway. The map
        is the block's own, so it is multiplied in place.
        """
        h = self._ahead_of_last(x, relu=can_pack(x))
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
        is_plain = gate is None and self.bias is None and shortcut_gate is None
        if is_plain and torch.compiler.is_compiling():
            # A compiler makes this a part of the convolution; an operator of ours it has to call.
            return torch.relu_(y.add_(shortcut)), None
        tail_(y, shortcut, gate, self.bias, shortcut_gate)
        return y, None


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
    joined = (weight @ ahead.weight[:, :, 0, 0].double()).to(dtype)
    return joined, torch.stack(summands).sum(dim=0).to(dtype) if summands else None
