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
its output without looking: those of y, times g. Where the next block's convolutions
take a gate along at less cost, it hands g on beside y. ``standard`` and ``prenorm`` of
a bottleneck need no look at F(x) either: its means are the last convolution, a
1x1 one, of the means of what it takes, which are taken where that is rectified.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models.blocks import SEBlock
from se_models.config import Placement
from se_models.fused.eligibility import BOTTLENECK
from se_models.fused.excitation import Excitation
from se_models.fused.folding import FoldedConv, affine, is_pointwise
from se_models.fused.latest import KINDS
from se_models.fused.operators import squeeze, tail_, tail_squeeze_
from se_models.fused.packed import can_pack
from se_models.fused.pointwise import can_take_along
from se_models.fused.shapes import wide

Folded = Callable[[nn.Conv2d, nn.BatchNorm2d | None], FoldedConv]

_folded = partial(FoldedConv, kinds=KINDS)


class HandedOn(NamedTuple):
    """What a block is given by the one before: ``map * gate``, and its means.

    Attributes:
        map: ``(B, C, H, W)``.
        means: over height and width ``(B, C)``, for a block that wants them.
        gate: ``(B, C)``; None where nothing is left to be multiplied.
    """

    map: Tensor
    means: Tensor | None
    gate: Tensor | None


class FusedBlock(nn.Module):
    """A residual block in any placement, plain ones included.

    Args:
        block: whose convolutions and norms are folded.
        folded: makes one of a convolution and the norm behind it, if one is to be folded.

    Attributes:
        wants_means: whether it needs the means of its input.
        tells_means: whether it is to tell the means of its output; the network sets it.
        hands_gate_on: whether whoever is next can multiply by a gate at less cost; likewise.
        map_is_read: whether anybody looks at its output, and not at its means alone; likewise.
    """

    bias: Tensor | None

    def __init__(self, block: BasicBlock | Bottleneck | SEBlock, folded: Folded = _folded) -> None:
        super().__init__()
        self.placement: Placement = block.placement if isinstance(block, SEBlock) else "none"
        conv, norm = block.conv2, block.bn2
        self.middle: FoldedConv | None = None
        if isinstance(block, BOTTLENECK):
            self.middle = folded(conv, norm)
            conv, norm = block.conv3, block.bn3
        factor = bias = None
        if self.placement == "prenorm":
            factor, bias = affine(norm, wide(conv.weight.dtype))
            norm = None
        self.first = folded(block.conv1, block.bn1)
        self.last = folded(conv, norm)
        self.register_buffer("bias", bias, persistent=False)
        self.squeezes_ahead = self.placement in ("standard", "prenorm") and is_pointwise(conv)
        self.excitation: Excitation | None = None
        if isinstance(block, SEBlock):
            ahead = self.last if self.squeezes_ahead else None
            self.excitation = Excitation(block.se, factor, ahead)
        self.downsample: FoldedConv | None = None
        if isinstance(block.downsample, nn.Sequential):
            self.downsample = folded(*block.downsample)
        self.wants_means = self.placement in ("pre", "identity")
        self.tells_means = False
        self.hands_gate_on = False
        self.map_is_read = True

    @property
    def squeezes(self) -> bool:
        """Whether the tail takes means: to be told, or to make a gate of."""
        return self.tells_means or self.placement == "post"

    def forward(self, given: HandedOn) -> HandedOn:
        """What the block makes of ``given``, which is left as it is."""
        x, means, pending = given
        if self.placement == "pre" and pending is None and self._scales_at_once(x):
            assert self.excitation is not None
            assert means is not None
            h = self._ahead_of_last(self.excitation.scale(x, means), None, relu=True)
            return self._last_and_tail(h, *self._shortcut(x, None))
        gate = self._gate(means) if self.wants_means else None
        x_gate = _product(pending, gate if self.placement == "pre" else None)
        shortcut_gate = _product(pending, gate if self.placement == "identity" else None)
        match self.placement:
            case "standard" | "prenorm" if self.squeezes_ahead:
                h, gate = self._rectified_and_gate(x, x_gate)
                return self._last_and_tail(h, *self._shortcut(x, shortcut_gate), gate=gate)
            case "standard" | "prenorm":
                y = self.last(self._ahead_of_last(x, x_gate, relu=True))
                return self._gated_tail(y, *self._shortcut(x, shortcut_gate))
            case "post":
                h = self._ahead_of_last(x, x_gate, relu=True)
                return self._gated(*self._tail_and_gate(h, *self._shortcut(x, shortcut_gate)))
            case "inner":
                h, h_gate = self._ahead_of_inner(x, x_gate)
                return self._last_and_tail(h, *self._shortcut(x, shortcut_gate), h_gate=h_gate)
            case _:
                h = self._ahead_of_last(x, x_gate, relu=True)
                return self._last_and_tail(h, *self._shortcut(x, shortcut_gate))

    def takes_pending_gate(self) -> bool:
        """Whether its convolutions of the block's input can all take a gate along."""
        return self.first.is_product and (self.downsample is None or self.downsample.is_product)

    def _scales_at_once(self, x: Tensor) -> bool:
        """Whether the gate of ``x`` multiplies it, and nothing else."""
        return can_pack(x) and not self.first.takes_along(x)

    def _tail_and_gate(
        self, h: Tensor, shortcut: Tensor, shortcut_gate: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The last convolution of h and the tail, the means of that, and their gate."""
        assert self.excitation is not None
        if self.last.takes_along(h):
            return self.last.as_product().tailed_and_excited(
                h, shortcut, shortcut_gate, self.excitation.layers()
            )
        y, means, _ = self._tail(self.last(h), shortcut, shortcut_gate, None)
        assert means is not None
        return y, means, self._gate(means)

    def _gated(self, y: Tensor, squeezed: Tensor, gate: Tensor) -> HandedOn:
        """The end of ``post``: what the tail left, times the gate that follows from its means."""
        means = squeezed * gate if self.tells_means else None
        if not self.map_is_read:
            return HandedOn(y, means, None)
        if self.hands_gate_on and can_take_along(y):
            return HandedOn(y, means, gate)
        tail_(y, None, gate, None, None)
        return HandedOn(y, means, None)

    def _ahead_of_last(self, x: Tensor, gate: Tensor | None, *, relu: bool) -> Tensor:
        """What the last convolution is given, or, unless ``relu``, what is to be rectified yet.

        It is made of x, or of x * gate.
        """
        if self.middle is None:
            return self._first(x, gate, relu=relu)
        return self.middle(self._first(x, gate, relu=True), relu=relu)

    def _first(self, x: Tensor, gate: Tensor | None, *, relu: bool) -> Tensor:
        """The first convolution of x, or of x * gate."""
        if gate is None:
            return self.first(x, relu=relu)
        return self.first.scaled(x, gate, relu=relu)

    def _rectified_and_gate(self, x: Tensor, gate: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the last convolution takes, and the gate that follows from its means."""
        if can_pack(x):  # the convolution ahead rectifies by itself, and a look at it is left
            h = self._ahead_of_last(x, gate, relu=True)
            return h, self._gate_of_map(h)
        h = self._ahead_of_last(x, gate, relu=False)
        return h, self._gate(tail_squeeze_(h, None, None, None, None))

    def _ahead_of_inner(self, x: Tensor, gate: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the last convolution is given, and its gate unless it is multiplied by it already.

        The ReLU is taken along by whichever pass writes the map anyway. The map
        is the block's own, so it is multiplied in place.
        """
        if can_pack(x):
            h = self._ahead_of_last(x, gate, relu=True)
            if self.last.takes_along(h):
                return h, self._gate_of_map(h)
            assert self.excitation is not None
            self.excitation.tail_(h, None, None, None)
            return h, None
        h = self._ahead_of_last(x, gate, relu=False)
        if self.last.gates_weights(h):
            return h, self._gate(tail_squeeze_(h, None, None, None, None))
        own = self._gate(squeeze(h, True))
        tail_(h, None, own, None, None)
        return h, None

    def _shortcut(self, x: Tensor, gate: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """S of x, or of x * gate; and the gate, if it is to be multiplied by it yet."""
        if self.downsample is None:
            return x, gate
        if gate is None:
            return self.downsample(x), None
        return self.downsample.scaled(x, gate), None

    def _gate(self, means: Tensor | None) -> Tensor:
        assert self.excitation is not None
        assert means is not None
        gate: Tensor = self.excitation(means)
        return gate

    def _gate_of_map(self, x: Tensor) -> Tensor:
        """The gate that follows from the means of ``x``."""
        assert self.excitation is not None
        return self.excitation.of_map(x)

    def _last_and_tail(
        self,
        h: Tensor,
        shortcut: Tensor,
        shortcut_gate: Tensor | None,
        *,
        h_gate: Tensor | None = None,
        gate: Tensor | None = None,
    ) -> HandedOn:
        """The last convolution, of h * h_gate, and the tail."""
        if self.last.takes_along(h):
            y, means = self.last.as_product().tailed(
                h, h_gate, shortcut, gate, self.bias, shortcut_gate, squeezes=self.squeezes
            )
            return HandedOn(y, means, None)
        y = self.last(h) if h_gate is None else self.last.scaled(h, h_gate)
        return self._tail(y, shortcut, shortcut_gate, gate)

    def _gated_tail(self, y: Tensor, shortcut: Tensor, shortcut_gate: Tensor | None) -> HandedOn:
        """The tail, in place, by the gate that follows from the means of ``y``."""
        if self.squeezes or not can_pack(y):
            return self._tail(y, shortcut, shortcut_gate, self._gate_of_map(y))
        assert self.excitation is not None
        self.excitation.tail_(y, shortcut, self.bias, shortcut_gate)
        return HandedOn(y, None, None)

    def _tail(
        self, y: Tensor, shortcut: Tensor, shortcut_gate: Tensor | None, gate: Tensor | None
    ) -> HandedOn:
        """The tail alone, in place."""
        if self.squeezes:
            means = tail_squeeze_(y, shortcut, gate, self.bias, shortcut_gate)
            return HandedOn(y, means, None)
        is_plain = gate is None and self.bias is None and shortcut_gate is None
        if is_plain and torch.compiler.is_compiling():
            # A compiler makes this a part of the convolution; an operator of ours it has to call.
            torch.relu_(y.add_(shortcut))
        else:
            tail_(y, shortcut, gate, self.bias, shortcut_gate)
        return HandedOn(y, None, None)


def _product(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Of two gates, each of which may be absent."""
    if one is None or other is None:
        return other if one is None else one
    return one * other
