"""1x1 convolutions on the CPU that take along what stands around them.

The operators `pointwise`, `pointwise_squeeze` and `pointwise_squeeze_excite`
are for where they have a kernel: on x86, from the version of torch on that
offers oneDNN's products of matrices. Elsewhere what they take along are passes
of their own.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from se_models.fused import operators
from se_models.fused.cpu.build import load
from se_models.fused.packed import can_pack

# Outputs that lie side by side in memory for each input: what oneDNN multiplies at once.
_MOST = 64
_FEWEST = 16
# What its code is quickest with where 16 registers have to do: fewer rows of sums are held then.
_MOST_WITH_AVX2 = 32


class PointwiseConvolution:
    """A 1x1 convolution whose weights are laid out once, for any input.

    Args:
        weight: ``(out, in, 1, 1)``, on the CPU, float32.
        bias: of the outputs, or None.
        stride: in height and in width.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int) -> None:
        outputs, inputs = weight.shape[:2]
        block = _block_here(outputs)
        self._weight = weight.view(-1, block, inputs).transpose(1, 2).contiguous()
        self._bias = bias
        self._stride = stride

    def plain_weight(self) -> Tensor:
        """``(out, in, 1, 1)``, as it was given."""
        blocks, inputs, block = self._weight.shape
        return self._weight.transpose(1, 2).reshape(blocks * block, inputs, 1, 1)

    def __call__(self, x: Tensor, *, gate: Tensor | None = None, relu: bool = False) -> Tensor:
        """The convolution of ``x``, or of ``x * gate``, rectified if asked for; channels_last."""
        y: Tensor = operators.pointwise(
            x, self._weight, self._bias, gate, self._stride, None, None, None, None, relu
        )
        return y

    def tailed(
        self,
        x: Tensor,
        x_gate: Tensor | None,
        shortcut: Tensor,
        gate: Tensor | None,
        shift: Tensor | None,
        shortcut_gate: Tensor | None,
        *,
        squeezes: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """The convolution and the block's tail behind it, and the means of what comes out.

        Args:
            x: what is convolved.
            x_gate: which ``x`` is multiplied by, ``(B, in)``.
            shortcut: what is added, like the result.
            gate: which the convolution is multiplied by, ``(B, out)``.
            shift: what is added to that, ``(out,)``.
            shortcut_gate: which ``shortcut`` is multiplied by, ``(B, out)``.
            squeezes: whether to take the means.
        """
        arguments = (
            x, self._weight, self._bias, x_gate, self._stride, shortcut, gate, shift,
            shortcut_gate, True,
        )  # fmt: skip
        if squeezes:
            y, means = operators.pointwise_squeeze(*arguments)
            return y, means
        return operators.pointwise(*arguments), None

    def tailed_and_excited(
        self,
        x: Tensor,
        shortcut: Tensor,
        shortcut_gate: Tensor | None,
        layers: tuple[Tensor | None, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The convolution and a tail without a gate, the means of that, and their gate.

        Args:
            x: what is convolved.
            shortcut: what is added, like the result.
            shortcut_gate: which ``shortcut`` is multiplied by, ``(B, out)``.
            layers: of the excitation, as `operators.excite` takes them.
        """
        y, means, gate = operators.pointwise_squeeze_excite(
            x, self._weight, self._bias, None, self._stride, shortcut, None, None, shortcut_gate,
            True, *layers,
        )  # fmt: skip
        return y, means, gate


def is_blocked(weight: Tensor) -> bool:
    """Whether a 1x1 convolution's weights can be laid out in blocks worth multiplying by."""
    return _block_of(weight.shape[0]) >= min(_FEWEST, weight.shape[0])


def can_take_along(x: Tensor) -> bool:
    """Whether a convolution of ``x`` may be a `PointwiseConvolution` here and now."""
    return can_pack(x) and _has_kernel()


def _block_of(outputs: int) -> int:
    return outputs if outputs < _MOST else math.gcd(outputs, _MOST)


def _block_here(outputs: int) -> int:
    """The block on this CPU. Which convolutions have one is the same on all."""
    block = _block_of(outputs)
    if block == _MOST and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return _MOST_WITH_AVX2
    return block


@cache
def _has_kernel() -> bool:
    """Whether the CPU's kernels, which it loads, have these."""
    return load() is None and torch._C._dispatch_has_kernel_for_dispatch_key(
        "se_models::pointwise", "CPU"
    )
