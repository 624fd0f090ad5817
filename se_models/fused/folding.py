"""BatchNorm in eval mode is a factor and a summand per channel; here it goes into something else.

    BN(y) = y * a + b,   a = weight / sqrt(running_var + eps),   b = bias - running_mean * a

Of a convolution without bias, a goes into the weights and b is the bias. The
arithmetic is that of float64, whatever the dtype of the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_models.fused import operators
from se_models.fused.packed import PackedConvolution, can_pack, is_traced
from se_models.fused.pointwise import PointwiseConvolution, can_take_along, is_blocked
from se_models.fused.shapes import wide


class FoldedConv(nn.Module):
    """A convolution with the BatchNorm that follows it, if one does.

    Its tensors are buffers of its own, which no state dict holds: they follow
    from the model's.

    Args:
        conv: with zeros for padding.
        norm: in eval mode, with running statistics; None leaves ``conv`` as it is.
        kinds: for how many shapes and strides of input to keep weights that are laid out, where
            that can be done; 0 lays none out.
        keeps_plain: whether to hold the plain weights beside those. Without, ``weight`` is None
            once any are laid out, from which it is made again wherever it is wanted.

    Attributes:
        weight_count: of values.
        is_wide: whether gates are of its dtype.
        is_product: whether it may be a product of matrices, which takes along what is around it.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d | None,
        *,
        kinds: int = 0,
        keeps_plain: bool = True,
    ) -> None:
        super().__init__()
        weight = conv.weight.detach().clone()
        bias = None if conv.bias is None else conv.bias.detach().clone()
        if norm is not None:
            factor, summand = affine(norm, torch.float64)
            if bias is not None:
                summand = summand + factor * bias.double()
            weight = (weight.double() * factor[:, None, None, None]).to(weight.dtype)
            bias = summand.to(weight.dtype)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.weight_count = weight.numel()
        self.is_wide = weight.dtype == wide(weight.dtype)
        self.kernel_size = conv.kernel_size
        self.stride = conv.stride
        self.padding = conv.padding
        self.dilation = conv.dilation
        self.groups = conv.groups
        # In words a padding is none that can be packed for.
        self._kinds = 0 if isinstance(conv.padding, str) else kinds
        self._keeps_plain = keeps_plain
        self._packed: dict[tuple[int, ...], PackedConvolution] = {}
        self.is_product = kinds > 0 and is_unpadded_pointwise(conv) and is_blocked(weight)
        self._product: PointwiseConvolution | None = None

    def forward(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """The convolution of ``x``, rectified if asked for."""
        # With nothing to take along it is no quicker, unless setting up oneDNN's convolution tells.
        if self.takes_along(x) and x.shape[0] == 1:
            return self.as_product()(x, relu=relu)
        return self._convolve(x, self.stride, relu=relu)

    def scaled(self, x: Tensor, gate: Tensor, *, relu: bool = False) -> Tensor:
        """The convolution of ``x * gate``, with the gate where it has fewest values to multiply.

        The gate may as well multiply the weights of one image, each of which meets
        one channel only, unless they are narrower than it. A 1x1 convolution that
        skips pixels needs no product of these.

        Args:
            x: a feature map ``(B, C, H, W)``.
            gate: ``(B, C)``, of the operators' wide dtype.
            relu: whether the result is rectified.
        """
        if self.takes_along(x):
            return self.as_product()(x, gate=gate, relu=relu)
        if self.gates_weights(x):
            weight = self.plain_weight() * gate.view(1, -1, 1, 1)
            y = F.conv2d(
                x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
            return torch.relu_(y) if relu else y
        rows, columns = self.stride
        if self.kernel_size == (1, 1) and self.padding == (0, 0) and rows == columns:
            return self._convolve(operators.scale(x, gate, rows), (1, 1), relu=relu)
        return self(operators.scale(x, gate, 1), relu=relu)

    def gates_weights(self, x: Tensor) -> bool:
        """Whether ``scaled`` multiplies the weights rather than ``x``."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return False  # whoever calls the trace may have several images
        if any(isinstance(each, torch.SymInt) for each in x.shape):
            return False  # what is asked of it would become a rule for all that the graph is given
        if self._kinds and can_pack(x):
            return False  # weights that differ at every call cannot have been packed
        if not self.is_wide:
            return False  # the gate would have to be cast for them, a launch more than for the map
        return x.shape[0] == 1 and self.groups == 1 and self.weight_count < x.numel()

    def takes_along(self, x: Tensor) -> bool:
        """Whether a gate ahead and a tail behind cost it no pass over a map."""
        return self.is_product and can_take_along(x)

    def plain_weight(self) -> Tensor:
        """``(out, in / groups, height, width)``, as any convolution takes it.

        Raises:
            RuntimeError: if it was let go of, and a compiler or an exporter asks for it.
        """
        weight = self.weight  # once, for another thread may let go of it
        if weight is not None:
            return weight
        if is_traced():
            raise RuntimeError(
                "a twin with keep_state=False has let go of its plain weights when it ran: "
                "compile or export one that has not run, or one that keeps the state"
            )
        if self._product is not None:
            return self._product.plain_weight()
        packed = [weight for each in list(self._packed.values()) for weight in each.kept()]
        return packed[0].to_dense()

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights can be neither copied nor pickled, and are soon made again.
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        buffers = {**self._buffers, "weight": self.plain_weight()}
        return {**state, "_buffers": buffers, "_packed": {}, "_product": None}

    def as_product(self) -> PointwiseConvolution:
        """What it is where it takes gate and tail along."""
        if self._product is None:
            self._product = PointwiseConvolution(self.plain_weight(), self.bias, self.stride[0])
            self._let_go()
        return self._product

    def _convolve(self, x: Tensor, stride: tuple[int, ...], *, relu: bool = False) -> Tensor:
        if self._kinds and can_pack(x):
            assert not isinstance(self.padding, str)  # or it would not pack
            packed = self._packed.get(stride)
            if packed is None:
                made = PackedConvolution(
                    self.bias, stride, self.padding, self.dilation, self.groups, kinds=self._kinds
                )
                # Or each of several threads would pack for itself.
                packed = self._packed.setdefault(stride, made)
            y = packed(x, self.plain_weight, relu=relu)
            self._let_go()
            return y
        weight = self.plain_weight()
        y = F.conv2d(x, weight, self.bias, stride, self.padding, self.dilation, self.groups)
        return torch.relu_(y) if relu else y

    def _let_go(self) -> None:
        """Of the plain weights, now that there are others."""
        if not self._keeps_plain and self.weight is not None:
            self.weight = None


def is_pointwise(conv: nn.Conv2d) -> bool:
    """Whether every value that it puts out is a sum over channels of one pixel, for every pixel.

    Then the means of what it puts out are the convolution of the means of what it takes.
    """
    return is_unpadded_pointwise(conv) and conv.stride == (1, 1)


def is_unpadded_pointwise(conv: nn.Conv2d) -> bool:
    """The same for every pixel, or every so many in either direction."""
    return (
        conv.kernel_size == (1, 1)
        and conv.stride[0] == conv.stride[1]
        and conv.padding in ((0, 0), "valid", "same")
        and conv.groups == 1
    )


def affine(norm: nn.BatchNorm2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The factor and the summand of each channel, in ``dtype``; computed in float64."""
    assert norm.running_mean is not None  # whoever folds has checked
    assert norm.running_var is not None
    factor = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    summand = -norm.running_mean.double() * factor
    if norm.bias is not None:
        summand = summand + norm.bias.detach().double()
    return factor.to(dtype), summand.to(dtype)
