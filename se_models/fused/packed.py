"""Convolutions on the CPU whose weights are packed once for the shape of their input.

PyTorch's own convolution has oneDNN lay the weights out anew at every call,
which for one image moves more bytes than the feature maps have. The operators
used here are those that Inductor calls for frozen weights; where this torch has
none, or they cannot be used, the convolution runs as it is.

A 1x1 convolution of a gated map is a product of matrices, and takes the gate into
its weights, which cannot have been packed then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

# Shapes for which packed weights are kept; each is a copy of the weights.
KINDS = 2
# An image has to be so many times as large as the weights for gating these to be quicker than
# gating the image, though they then come unpacked. In a ResNet-50 the 1x1 convolutions at 24 times
# and more gain by it, those at 12 times and fewer gain or lose as much as noise.
_WORTH_GATING = 20

_mkldnn: Any = getattr(torch.ops, "mkldnn", None)


class PackedConvolution:
    """The packed weights of one convolution, made when a shape first comes.

    Args:
        weight: ``(out, in / groups, height, width)``, on the CPU.
        bias: of the outputs, or None.
        stride, padding, dilation: in height and width.
        groups: of channels.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> None:
        self._weight = weight
        self._bias = bias
        self._stride, self._padding = list(stride), list(padding)
        self._dilation, self._groups = list(dilation), groups
        self._kept: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()

    def __call__(self, x: Tensor, *, relu: bool) -> Tensor:
        # Whatever the layout of x, what comes out is channels_last.
        output: Tensor = _mkldnn._convolution_pointwise(
            x, self._packed_for(x), self._bias, self._padding, self._stride, self._dilation,
            self._groups, "relu" if relu else "none", [], "",
        )  # fmt: skip
        return output

    def _packed_for(self, x: Tensor) -> Tensor:
        kind = (*x.shape, *x.stride())
        packed = self._kept.get(kind)
        if packed is None:
            while len(self._kept) >= KINDS:
                self._kept.popitem(last=False)
            packed = _mkldnn._reorder_convolution_weight(
                self._weight, self._padding, self._stride, self._dilation, self._groups,
                list(x.shape),
            )  # fmt: skip
            self._kept[kind] = packed
        return packed


def can_pack(x: Tensor) -> bool:
    """Whether a convolution of ``x`` may use packed weights here and now."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and type(x) is Tensor
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()
        and hasattr(_mkldnn, "_convolution_pointwise")
    )


def can_gate_weights(x: Tensor, weight: Tensor) -> bool:
    """Whether `gated_pointwise` can run here and now, and is worth it.

    Args:
        x: the feature map ``(B, C, H, W)``.
        weight: of a 1x1 convolution of it, with one group and a stride of 1.
    """
    return (
        can_pack(x)
        and x.is_contiguous(memory_format=torch.channels_last)
        and x[0].numel() > _WORTH_GATING * weight.numel()
        and hasattr(_mkldnn, "_linear_pointwise")
    )


def gated_pointwise(
    x: Tensor, weight: Tensor, gate: Tensor, bias: Tensor | None, *, relu: bool
) -> Tensor:
    """The 1x1 convolution of ``x * gate``, rectified if asked for, as a product of matrices.

    Args:
        x: ``(B, C, H, W)``, channels_last, as is what comes out.
        weight: ``(out, C, 1, 1)``.
        gate: ``(B, C)``.
        bias: ``(out,)``, or None.
        relu: whether the result is rectified.
    """
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).view(batch, height * width, channels)
    weights = weight.view(1, -1, channels) * gate[:, None, :]
    if batch == 1:
        y = _mkldnn._linear_pointwise(
            pixels[0], weights[0], bias, "relu" if relu else "none", [], ""
        )  # fmt: skip
    else:
        summand = weights.new_zeros(1) if bias is None else bias
        y = torch.baddbmm(summand, pixels, weights.mT, beta=0 if bias is None else 1)
        y = torch.relu_(y) if relu else y
    return y.view(batch, height, width, -1).permute(0, 3, 1, 2)
