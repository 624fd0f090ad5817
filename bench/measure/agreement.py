"""Whether the fused operators' kernels compute what they say, on a device, against float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from bench.measure.subject import DTYPES, MEMORY_FORMATS
from bench.trial import LAYOUTS, DType, Layout
from se_models.fused import operators

# Of what is stored in each dtype, as max|a - b| / max|b|; of means and gates, which are float32.
TOLERANCE: dict[DType, float] = {"float32": 5e-6, "float16": 2e-3, "bfloat16": 1e-2}
WIDE_TOLERANCE = 1e-5
# One pixel, odd sizes, planes for a warp and for a block, fewer channels than a sector has, more
# images than share a read of the weights; then the maps of a ResNet-50.
SHAPES = (
    (1, 1, 1, 1), (2, 3, 1, 1), (1, 5, 3, 7), (3, 8, 5, 5), (2, 131, 3, 3), (1, 3, 101, 67),
    (9, 64, 8, 8), (2, 256, 56, 56), (1, 512, 28, 28), (4, 1024, 14, 14), (2, 2048, 7, 7),
)  # fmt: skip
# Which of shortcut, gate, bias and the shortcut's gate a tail is given, a letter each.
EPILOGUES = ("", "s", "g", "sg", "sgb", "sh", "sgbh")


@dataclass(frozen=True)
class Agreement:
    """How far from float64 an operator was at most, over all epilogues and alignments.

    Attributes:
        error: max|a - b| / max|b|.
        limit: what rounding explains.
    """

    operator: str
    dtype: DType
    layout: Layout
    shape: tuple[int, int, int, int]
    error: float
    limit: float

    @property
    def is_right(self) -> bool:
        return self.error <= self.limit


def agreements(
    device: torch.device, shapes: Sequence[tuple[int, int, int, int]] | None = None
) -> Iterator[Agreement]:
    """Of every operator on maps of every dtype, layout and shape, aligned and not.

    Args:
        device: of the maps.
        shapes: ``(B, C, H, W)`` each; by default `SHAPES`.
    """
    for dtype, layout, shape in product(TOLERANCE, LAYOUTS, shapes or SHAPES):
        torch.manual_seed(0)
        maps = _Maps(device, dtype, layout, shape)
        stored = TOLERANCE[dtype]
        for operator, error, limit in (
            ("squeeze", maps.squeeze(), WIDE_TOLERANCE),
            ("tail_", maps.tail(), stored),
            ("tail_squeeze_", maps.tail_squeeze(), max(stored, WIDE_TOLERANCE)),
            ("scale", maps.scale(), stored),
            ("excite", maps.excite(), WIDE_TOLERANCE),
        ):
            yield Agreement(operator, dtype, layout, shape, error, limit)


class _Maps:
    """Operators on made-up maps of one shape, dtype and layout."""

    def __init__(
        self, device: torch.device, dtype: DType, layout: Layout, shape: tuple[int, int, int, int]
    ) -> None:
        self._device = device
        self._dtype = DTYPES[dtype]
        self._format = MEMORY_FORMATS[layout]
        self._shape = shape
        batch, channels = shape[:2]
        self._gate, self._other_gate = self._wide(batch, channels), self._wide(batch, channels)
        self._bias = self._wide(channels)

    def squeeze(self) -> float:
        errors = []
        for x in self._drawn_twice():
            for relu in (False, True):
                values = x.double().clamp_min(0) if relu else x.double()
                exact = values.mean(dim=(2, 3))
                unit = float(values.abs().mean(dim=(2, 3)).max())
                errors.append(_off(operators.squeeze(x, relu), exact, unit))
        return max(errors)

    def tail(self) -> float:
        return max(self._tails(means=False))

    def tail_squeeze(self) -> float:
        return max(self._tails(means=True))

    def scale(self) -> float:
        errors = []
        for x in self._drawn_twice():
            for stride in (1, 2):
                exact = x.double()[:, :, ::stride, ::stride] * _over_pixels(self._gate)
                errors.append(_off(operators.scale(x, self._gate, stride), exact))
        return max(errors)

    def excite(self) -> float:
        batch, channels = self._shape[:2]
        hidden = max(1, channels // 16)
        squeezed = self._wide(batch, channels)
        layers = [
            self._narrow(hidden, channels) / channels**0.5, self._narrow(hidden),
            self._narrow(channels, hidden) / hidden**0.5, self._narrow(channels),
        ]  # fmt: skip
        weight1, bias1, weight2, bias2 = (each.double() for each in layers)
        units = (squeezed.double() @ weight1.T + bias1).clamp_min(0)
        exact = torch.sigmoid(units @ weight2.T + bias2) * self._bias.double()
        return _off(operators.excite(squeezed, *layers, self._bias), exact)

    def _tails(self, *, means: bool) -> Iterator[float]:
        """Of every epilogue, in place on aligned and unaligned maps, beside either."""
        for letters, x, shortcut in product(EPILOGUES, self._drawn_twice(), self._drawn_twice()):
            given = {"s": shortcut, "g": self._gate, "b": self._bias, "h": self._other_gate}
            arguments = [tensor if name in letters else None for name, tensor in given.items()]
            exact = _tail(x, *arguments)
            # Summands may cancel, and what is left of them says nothing of their rounding.
            unit = max(float(each.abs().max()) for each in (x, shortcut, self._bias))
            y = _like(x)
            if means:
                found = operators.tail_squeeze_(y, *arguments)
                yield _off(found, exact.mean(dim=(2, 3)), unit)
            else:
                operators.tail_(y, *arguments)
            yield _off(y, exact, unit)

    def _drawn_twice(self) -> list[Tensor]:
        """The same values where sixteen bytes begin, and one element past that."""
        x = self._narrow(*self._shape).contiguous(memory_format=self._format)
        return [x, _moved(x)]

    def _narrow(self, *shape: int) -> Tensor:
        return torch.randn(shape).to(self._dtype).to(self._device)

    def _wide(self, *shape: int) -> Tensor:
        return torch.rand(shape).to(self._device)


def _like(x: Tensor) -> Tensor:
    """A copy that lies as far from sixteen bytes' beginning as ``x`` does."""
    return x.clone() if x.data_ptr() % 16 == 0 else _moved(x)


def _moved(x: Tensor) -> Tensor:
    room = torch.empty(x.numel() + 1, dtype=x.dtype, device=x.device)
    return room[1:].as_strided(x.shape, x.stride()).copy_(x)


def _tail(
    x: Tensor,
    shortcut: Tensor | None,
    gate: Tensor | None,
    bias: Tensor | None,
    shortcut_gate: Tensor | None,
) -> Tensor:
    y = x.double()
    if gate is not None:
        y = y * _over_pixels(gate)
    if bias is not None:
        y = y + _over_pixels(bias[None])
    if shortcut is not None:
        beside = shortcut.double()
        y = y + (beside if shortcut_gate is None else beside * _over_pixels(shortcut_gate))
    return y.clamp_min(0)


def _over_pixels(values: Tensor) -> Tensor:
    return values.double()[:, :, None, None]


def _off(found: Tensor, exact: Tensor, unit: float | None = None) -> float:
    """max|a - b| over ``unit``, by default max|b|; infinite where something is no number."""
    unit = float(exact.abs().max()) if unit is None else unit
    error = float((found.double() - exact).abs().max()) / max(unit, 1e-30)
    return math.inf if math.isnan(error) else error
