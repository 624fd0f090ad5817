"""Convolutions on the CPU whose weights are packed once for the shape of their input.

PyTorch's own convolution has oneDNN lay the weights out anew at every call,
which for one image moves more bytes than the feature maps have. The operators
used here are those that Inductor calls for frozen weights; where this torch has
none, or they cannot be used, the convolution runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import conv_flop_count, flop_registry, register_flop_formula

from se_models.fused.latest import KINDS, Latest

_mkldnn: Any = getattr(torch.ops, "mkldnn", None)
_HAS_OPERATORS = hasattr(_mkldnn, "_convolution_pointwise")

if _HAS_OPERATORS and _mkldnn._convolution_pointwise not in flop_registry:

    @register_flop_formula([_mkldnn._convolution_pointwise])
    def _convolution_flops(
        x: Sequence[int],
        *others: Sequence[int] | None,
        out_shape: Sequence[int],
        **_kwargs: object,
    ) -> int:
        """Of either overload: what is added, if anything, comes ahead of the weights."""
        weight = next(shape for shape in others[1::-1] if shape is not None and len(shape) > 1)
        return conv_flop_count(list(x), list(weight), list(out_shape))


class PackedConvolution:
    """The packed weights of one convolution, made when a shape first comes.

    Each is a copy of the weights, and they are kept for the few shapes that were used last.

    Args:
        bias: of the outputs, or None.
        stride, padding, dilation: in height and width.
        groups: of channels.
        kinds: how many shapes and strides that is.
    """

    def __init__(
        self,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
        *,
        kinds: int = KINDS,
    ) -> None:
        self._bias = bias
        self._stride, self._padding = list(stride), list(padding)
        self._dilation, self._groups = list(dilation), groups
        self._kept = Latest[Tensor](kinds)

    def __call__(self, x: Tensor, plain_weight: Callable[[], Tensor], *, relu: bool) -> Tensor:
        """The convolution of ``x``, rectified if asked for; channels_last, whatever ``x`` is.

        ``plain_weight`` gives ``(out, in / groups, height, width)``, and is asked at the first
        ``x`` of its kind alone. It is not kept.
        """
        weight = self._packed_for(x, plain_weight)
        output: Tensor = _mkldnn._convolution_pointwise(
            x, weight, self._bias, self._padding, self._stride, self._dilation,
            self._groups, "relu" if relu else "none", [], "",
        )  # fmt: skip
        return output

    def kept(self) -> list[Tensor]:
        """The packed weights of those shapes that were used last."""
        return self._kept.values()

    def _packed_for(self, x: Tensor, plain_weight: Callable[[], Tensor]) -> Tensor:
        def packed() -> Tensor:
            weight: Tensor = _mkldnn._reorder_convolution_weight(
                plain_weight(), self._padding, self._stride, self._dilation, self._groups,
                list(x.shape),
            )  # fmt: skip
            return weight

        return self._kept.get_or_make((*x.shape, *x.stride()), packed)


def is_traced() -> bool:
    """Whether a compiler, an exporter or `torch.jit.trace` notes what is called."""
    return torch.compiler.is_compiling() or bool(
        torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )


def can_pack(x: Tensor) -> bool:
    """Whether a convolution of ``x`` may use packed weights here and now."""
    return (
        not is_traced()  # first, for a trace would hold the questions below
        and x.is_cpu
        and x.dtype == torch.float32
        and type(x) is Tensor
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and _HAS_OPERATORS
    )
