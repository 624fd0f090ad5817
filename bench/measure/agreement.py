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
from se_models.fused.shapes import wide

# Of what is stored in each dtype, in the unit of `Agreement.error`; of means and gates, which are
# float32 whatever maps are.
TOLERANCE: dict[DType, float] = {"float32": 5e-6, "float16": 2e-3, "bfloat16": 1e-2}
WIDE_TOLERANCE = 1e-5
# One pixel, odd sizes, planes for a warp and for a block, fewer channels than a sector has, more
# images than share a read of the weights; then the maps of a ResNet-50.
SHAPES = (
    (1, 1, 1, 1), (2, 3, 1, 1), (1, 5, 3, 7), (3, 8, 5, 5), (2, 131, 3, 3), (1, 3, 101, 67),
    (9, 64, 8, 8), (2, 256, 56, 56), (1, 512, 28, 28), (4, 1024, 14, 14), (2, 2048, 7, 7),
)  # fmt: skip
# Channels and hidden units of excitations that several blocks compute together: five, with a unit
# left over for the last, and sixteen, as in the last stage of a ResNet-50.
EXCITATIONS = ((515, 33), (2048, 128))
# Every choice of shortcut, gate, bias and the shortcut's gate that a tail may be given, a letter
# each; the last comes with a shortcut alone.
EPILOGUES = ("", "s", "g", "b", "sg", "sb", "gb", "sgb", "sh", "sgh", "sbh", "sgbh")
_EITHER = (False, True)
_CPU = torch.device("cpu")

Layers = tuple[Tensor, Tensor | None, Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Agreement:
    """How far from float64 an operator was at most, over all epilogues and alignments.

    Attributes:
        operator: and which of its results, where it has several.
        given: to the operator, in words: the map's layout and shape, or the layers' sizes.
        error: max|a - b| over a unit. That is max|b| of ``scale`` and ``excite``. Where
            summands may cancel it is of what is added up: of ``squeeze`` the largest mean of
            absolute values, of the tails, maps and means alike, the largest absolute value of
            x, and of shortcut and bias if the tail takes them.
        limit: what rounding explains.
    """

    operator: str
    dtype: DType
    given: str
    error: float
    limit: float

    @property
    def is_right(self) -> bool:
        return self.error <= self.limit


def agreements(
    device: torch.device, shapes: Sequence[tuple[int, int, int, int]] | None = None
) -> Iterator[Agreement]:
    """Of every operator on maps of every dtype, layout and shape, aligned and not.

    And of excitations by several blocks, whatever the shapes of the maps.

    Args:
        device: of the maps.
        shapes: ``(B, C, H, W)`` each; by default `SHAPES`.
    """
    yield from _of_maps(device, shapes or SHAPES)
    yield from _of_layers(device)


def _of_maps(
    device: torch.device, shapes: Sequence[tuple[int, int, int, int]]
) -> Iterator[Agreement]:
    for dtype, layout, shape in product(TOLERANCE, LAYOUTS, shapes):
        torch.manual_seed(0)
        maps = _Maps(device, dtype, layout, shape)
        stored = TOLERANCE[dtype]
        squeezed_map, means = maps.tail_squeeze()
        for operator, error, limit in (
            ("squeeze", maps.squeeze(), WIDE_TOLERANCE),
            ("tail_", maps.tail(), stored),
            ("tail_squeeze_", squeezed_map, stored),
            ("tail_squeeze_ means", means, WIDE_TOLERANCE),
            ("scale", maps.scale(), stored),
            ("excite", maps.excite(), WIDE_TOLERANCE),
        ):
            yield Agreement(operator, dtype, f"{layout}, {shape}", error, limit)


def _of_layers(device: torch.device) -> Iterator[Agreement]:
    """Of one image and of three, the second layer's weights in both orders, with all it may take.

    Models have these weights gate by gate, twins on a GPU unit by unit.
    """
    for dtype, (channels, hidden), batch, by_unit, biased, factored in product(
        TOLERANCE, EXCITATIONS, (1, 3), _EITHER, _EITHER, _EITHER
    ):
        torch.manual_seed(0)
        squeezed = torch.rand(batch, channels).to(device)
        given = layers(
            channels, hidden, DTYPES[dtype],
            by_unit=by_unit, biased=biased, factored=factored, device=device,
        )  # fmt: skip
        error = _off(operators.excite(squeezed, *given), exact_gates(squeezed, given))
        told = (
            f"{batch} x {channels} channels, {hidden} units",
            f"weight2 {'unit by unit' if by_unit else 'gate by gate'}",
            f"{'with' if biased else 'without'} biases",
            f"{'with' if factored else 'without'} a factor",
        )
        yield Agreement("excite", dtype, ", ".join(told), error, WIDE_TOLERANCE)


def layers(
    channels: int,
    hidden: int,
    dtype: torch.dtype,
    *,
    by_unit: bool,
    biased: bool,
    factored: bool,
    device: torch.device = _CPU,
) -> Layers:
    """What an excitation takes beside means, drawn: both layers' weights and biases, a factor.

    Args:
        channels: C, of the means and of the gates.
        hidden: units of the first layer.
        dtype: of weights and biases.
        by_unit: whether the second layer's weights lie unit by unit, instead of gate by gate.
        biased: whether there are biases.
        factored: whether there is a factor.
        device: where all of it lies; the same values on any.
    """

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype).to(device)

    weight1, weight2 = (
        drawn(hidden, channels) / channels**0.5,
        drawn(channels, hidden) / hidden**0.5,
    )
    if by_unit:
        weight2 = weight2.t().contiguous().t()
    bias1, bias2 = drawn(hidden), drawn(channels)
    factor = torch.rand(channels, dtype=wide(dtype)).to(device)
    return (
        weight1, bias1 if biased else None, weight2, bias2 if biased else None,
        factor if factored else None,
    )  # fmt: skip


def exact_gates(squeezed: Tensor, given: Layers) -> Tensor:
    """What an excitation of means ``(B, C)`` by `layers` comes to, in float64: ``(B, gates)``."""
    weight1, bias1, weight2, bias2, factor = given
    units = squeezed.double() @ weight1.double().T + (0 if bias1 is None else bias1.double())
    sums = units.clamp_min(0) @ weight2.double().T + (0 if bias2 is None else bias2.double())
    return torch.sigmoid(sums) * (1 if factor is None else factor.double())


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
        # The gate, the shortcut's, and the bias.
        factors = self._wide(batch, channels), self._wide(batch, channels), self._wide(channels)
        self._factors = factors, tuple(_moved(each) for each in factors)

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
        errors = []
        for x, arguments, exact, unit in self._tails():
            y = _like(x)
            operators.tail_(y, *arguments)
            errors.append(_off(y, exact, unit))
        return max(errors)

    def tail_squeeze(self) -> tuple[float, float]:
        """Of the map, and of its means."""
        errors, errors_of_means = [], []
        for x, arguments, exact, unit in self._tails():
            y = _like(x)
            means = operators.tail_squeeze_(y, *arguments)
            errors.append(_off(y, exact, unit))
            errors_of_means.append(_off(means, exact.mean(dim=(2, 3)), unit))
        return max(errors), max(errors_of_means)

    def scale(self) -> float:
        errors = []
        for x in self._drawn_twice():
            for stride, (gate, *_) in product((1, 2), self._factors):
                exact = x.double()[:, :, ::stride, ::stride] * _over_pixels(gate)
                errors.append(_off(operators.scale(x, gate, stride), exact))
        return max(errors)

    def excite(self) -> float:
        batch, channels = self._shape[:2]
        squeezed = self._wide(batch, channels)
        given = layers(
            channels, max(1, channels // 16), self._dtype,
            by_unit=False, biased=True, factored=True, device=self._device,
        )  # fmt: skip
        return _off(operators.excite(squeezed, *given), exact_gates(squeezed, given))

    def _tails(self) -> Iterator[tuple[Tensor, list[Tensor | None], Tensor, float]]:
        """Operands, aligned or not, of an epilogue; what they come to, and the unit of errors."""
        whole, moved = self._factors
        maps = tuple(product(self._drawn_twice(), self._drawn_twice()))
        places = (*((both, whole) for both in maps), (maps[0], moved))  # of which all are aligned
        for letters, ((x, shortcut), factors) in product(EPILOGUES, places):
            gate, other_gate, bias = factors
            given = {"s": shortcut, "g": gate, "b": bias, "h": other_gate}
            arguments = [tensor if name in letters else None for name, tensor in given.items()]
            # Summands may cancel, and what is left of them says nothing of their rounding.
            added = [x, *(given[name] for name in "sb" if name in letters)]
            unit = max(float(each.abs().max()) for each in added)
            yield x, arguments, _tail(x, *arguments), unit

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
