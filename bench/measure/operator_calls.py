"""Which operators a fused twin calls for an input, kept so that each can be called by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import flop_registry

from bench.measure.dispatch import Call, Watch
from se_models.config import Placement
from se_models.fused.operators import NAMESPACE

# What operators may take along, by the names in their schemas, and is told with their own name.
_ALONG = ("x_gate", "shortcut", "gate", "shortcut_gate")
# Means of the whole map come before any of it is gated, so that it is read twice.
_READS_TWICE = ("squeeze_excite_tail_",)
PACKED = "_convolution_pointwise"  # oneDNN's, which torch knows no arithmetic of
CONVOLUTIONS = (PACKED, "convolution")


@dataclass(frozen=True, eq=False)
class OperatorCall:
    """An operator with the very tensors that a forward gave it.

    Attributes:
        operator: as it was dispatched.
        arguments: all of them, by their names in the operator's schema.
        output_shape: of its first result, or of what it changed.
        written_bytes: of all results and of what it changed.
    """

    operator: OpOverload
    arguments: dict[str, Any]
    output_shape: tuple[int, ...]
    written_bytes: int

    def __call__(self) -> object:
        """Call it again: on the same tensors, in place where it works in place."""
        return self.operator(*self.arguments.values())

    @property
    def name(self) -> str:
        """The operator's own, without its namespace."""
        return self.operator._schema.name.partition("::")[2]

    @property
    def label(self) -> str:
        """The name, and which gates and shortcuts it takes along."""
        along = [name for name in _ALONG if self._takes_along(name)]
        return ", ".join([self.name, *along])

    @property
    def first(self) -> Tensor:
        """Its first argument: the map, or the means."""
        tensor: Tensor = next(iter(self.arguments.values()))
        return tensor

    @property
    def weight(self) -> Tensor:
        """Of a convolution: its second argument."""
        tensor: Tensor = list(self.arguments.values())[1]
        return tensor

    @property
    def moved_bytes(self) -> int:
        """What must be read and written once; twice where nothing can be had of one reading.

        Of a map that a 1x1 convolution or a scale skips pixels of, those that it takes.
        """
        read = sum(_bytes(value) for value in self.arguments.values() if isinstance(value, Tensor))
        if "stride" in self.arguments and not self._is_wide:
            skipped = 1 - prod(self.output_shape[2:]) / prod(self.first.shape[2:])
            read -= round(skipped * _bytes(self.first))
        if self.name in _READS_TWICE:
            read += _bytes(self.first)
        return read + self.written_bytes

    @property
    def flops(self) -> int:
        """Two for each multiply-add; operators that have none count as nothing."""
        if self.name in CONVOLUTIONS:
            return 2 * prod(self.output_shape) * self.weight.numel() // self.output_shape[1]
        formula = flop_registry.get(self.operator.overloadpacket)
        if formula is None:
            return 0
        # torch wraps formulas so that they take tensors, or results, and hand on shapes.
        return int(formula(*self.arguments.values(), out_val=None))

    @property
    def _is_wide(self) -> bool:
        """Whether it is a convolution that takes neighbours of each pixel."""
        return self.name in CONVOLUTIONS and self.weight.shape[2:] != (1, 1)

    def _takes_along(self, name: str) -> bool:
        # The gate of `scale` is what it is for.
        return isinstance(self.arguments.get(name), Tensor) and self.name != "scale"


@dataclass(frozen=True)
class Called:
    """A call, and how often the twin of each placement makes one like it."""

    call: OperatorCall
    times: dict[Placement, int]


Forward = Callable[[Tensor], Tensor]


def calls_of(twins: Iterable[tuple[Placement, Forward]], example: Tensor) -> list[Called]:
    """What twins call of the fused operators, and of others what not all call equally often.

    Calls are alike if all their tensors have the same shapes, strides and dtypes, and
    all else in them is equal; the first one's tensors are kept.

    Args:
        twins: of one network; each is asked for when the one before has run.
        example: an input ``(B, 3, H, W)``.
    """
    found: dict[object, Called] = {}
    placements: list[Placement] = []
    for placement, twin in twins:
        placements.append(placement)
        with torch.no_grad():
            twin(example)  # which lays weights out, once
            noted = _Noted()
            with Watch(noted):
                twin(example)
        for call in noted.calls:
            times = found.setdefault(_kind(call), Called(call, {})).times
            times[placement] = times.get(placement, 0) + 1
    return [
        Called(each.call, {placement: each.times.get(placement, 0) for placement in placements})
        for each in found.values()
        if each.call.operator.namespace == NAMESPACE
        or len({each.times.get(placement, 0) for placement in placements}) > 1
    ]


class _Noted:
    """All calls that are no views, as an observer of a forward's."""

    def __init__(self) -> None:
        self.calls: list[OperatorCall] = []

    def see(self, call: Call) -> None:
        if not call.operator.is_view and not call.options:
            self.calls.append(_noted(call))


def _noted(call: Call) -> OperatorCall:
    declared = call.operator._schema.arguments
    arguments = {each.name: value for each, value in zip(declared, call.arguments, strict=False)}
    # An in-place operator of torch's returns what it changed.
    written = list({id(each): each for each in call.outputs}.values())
    return OperatorCall(
        call.operator, arguments, tuple(written[0].shape), sum(_bytes(each) for each in written)
    )


def _kind(call: OperatorCall) -> object:
    return call.operator, tuple(_like(value) for value in call.arguments.values())


def _like(value: Any) -> object:
    if isinstance(value, Tensor):
        strides = value.stride() if value.layout == torch.strided else None  # packed ones have none
        return value.shape, strides, value.dtype
    return tuple(value) if isinstance(value, list) else value


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize
