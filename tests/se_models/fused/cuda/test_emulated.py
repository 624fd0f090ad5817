"""The kernels that ship, on the CPU: every dtype, layout, epilogue and shape, against float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.measure.agreement import exact_gates
from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.cuda.compiler import kernels
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.maps import DTYPES
from tests.se_models.fused.agreement import off as off_by_model
from tests.se_models.fused.cuda.checks import check_scale, check_squeeze, check_tail
from tests.se_models.fused.cuda.emulator import SCHEDULES, Emulator, arrivals
from tests.se_models.fused.maps import (
    EPILOGUES,
    LAYOUTS,
    drawn,
    off,
    tail_arguments,
    unaligned,
)
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]

# One pixel, odd sizes, planes for a warp and for a block, fewer channels than a sector has.
SHAPES = [
    (1, 1, 1, 1), (2, 3, 1, 1), (1, 5, 3, 7), (3, 8, 5, 5), (1, 37, 9, 1), (2, 24, 8, 8),
    (1, 64, 7, 7), (1, 3, 41, 27), (2, 131, 3, 3),
]  # fmt: skip


@pytest.fixture(params=SCHEDULES)
def emulator(request: pytest.FixtureRequest, seed: int) -> Emulator:
    return Emulator(request.param, seed)


@pytest.fixture
def ours(emulator: Emulator) -> Operators:
    return Operators(emulator, arrivals)


@pytest.mark.parametrize("given", EPILOGUES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_tail_is_its_formula(
    layout: Any, dtype: torch.dtype, given: str, ours: Operators
) -> None:
    """In place, with its means or without; the means are float32's, of values not yet rounded."""
    for shape in SHAPES:
        check_tail(ours, shape, dtype, layout, given)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_squeeze_is_a_mean(layout: Any, dtype: torch.dtype, relu: bool, ours: Operators) -> None:
    """Of the map or of its ReLU; the map stays as it is."""
    for shape in SHAPES:
        check_squeeze(ours, shape, dtype, layout, relu=relu)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 4, 11])
@pytest.mark.parametrize(
    ("channels", "hidden", "gates"),
    [(1, 1, 1), (5, 2, 5), (64, 4, 64), (16, 4, 64), (67, 9, 67), (67, 9, 301), (515, 33, 515)],
)
def test_an_excitation_is_two_layers(
    channels: int,
    hidden: int,
    gates: int,
    batch: int,
    biased: bool,
    dtype: torch.dtype,
    ours: Operators,
) -> None:
    """By one block or by several that meet; of more images than counters; twice the very same.

    So it is of a second layer that lies unit by unit.
    """
    squeezed = drawn(batch, channels)
    weight1, weight2 = (
        drawn(hidden, channels, dtype=dtype) / channels**0.5,
        drawn(gates, hidden, dtype=dtype) / hidden**0.5,
    )
    biases = (drawn(hidden, dtype=dtype), drawn(gates, dtype=dtype)) if biased else (None, None)
    factor = drawn(gates) if biased else None
    given = (weight1, biases[0], weight2, biases[1], factor)
    gate = ours.excite(squeezed, *given)
    assert off(gate, exact_gates(squeezed, given)) <= 1e-5
    assert torch.equal(ours.excite(squeezed, *given), gate)
    by_unit = weight2.t().contiguous().t()
    assert torch.equal(ours.excite(squeezed, weight1, biases[0], by_unit, biases[1], factor), gate)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_scaling_takes_every_so_manieth_pixel(
    stride: int, layout: Any, dtype: torch.dtype, ours: Operators
) -> None:
    """Into a map of its own, in the same layout."""
    for shape in SHAPES:
        check_scale(ours, shape, dtype, layout, stride=stride)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_unaligned_maps_are_the_same_to_it(layout: Any, dtype: torch.dtype) -> None:
    """Both maps past where sixteen bytes begin, or one of them."""
    ours = Operators(Emulator(), arrivals)
    shape = (2, 24, 6, 7)
    x = drawn(*shape, dtype=dtype, layout=layout)
    arguments = tail_arguments(shape, dtype, "sgbh", layout)
    shortcut, others = arguments[0], arguments[1:]
    assert shortcut is not None
    expected = x.clone()
    ours.tail_(expected, *arguments)
    for y, beside in (
        (unaligned(x), shortcut),
        (unaligned(x), unaligned(shortcut)),
        (x.clone(), unaligned(shortcut)),
    ):
        assert y.data_ptr() % 16 or beside.data_ptr() % 16
        ours.tail_(y, beside, *others)
        assert torch.equal(y, expected)
    assert off(ours.squeeze(unaligned(x), True), x.double().clamp_min(0).mean((2, 3))) <= 2e-6
    gate = arguments[1]
    assert gate is not None
    assert torch.equal(ours.scale(unaligned(x), gate, 1), ours.scale(x, gate, 1))


def test_what_is_not_a_number_stays_so() -> None:
    """ReLU hides no NaN."""
    x = drawn(1, 19, 5, 5)
    x[0, 3, 1, 1] = float("nan")
    Operators(Emulator(), arrivals).tail_(x, None, None, None, None)
    assert torch.isnan(x).sum() == 1


class _Through(TorchDispatchMode):
    """Sends the fused operators to `Operators`, wherever their tensors are."""

    def __init__(self, operators: Operators) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operators = operators
        self.called: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.called.add(func._schema.name)
        if func.namespace == "se_models":
            run: Callable[..., object] = getattr(self._operators, func._opname)
            return run(*args)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No convolution's weights are packed: what runs instead is all there is on a GPU."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)


def _through_kernels(fused: Any, emulator: Emulator) -> Callable[[Tensor], Tensor]:
    """A fused network, every operator on the emulator, none of what the CPU has instead."""

    def run(images: Tensor) -> Tensor:
        with _Through(Operators(emulator, arrivals)) as through:
            output: Tensor = fused(images)
        assert not any(name.startswith("mkldnn") for name in through.called)
        return output

    return run


@pytest.mark.usefixtures("_as_on_a_gpu")
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_whole_network_equals_eager(placement: Any, layout: Any, trunk: Any) -> None:
    """Fused SE-ResNet-18, every operator on the kernels."""
    model = with_se(trunk, SEConfig(placement)).eval()
    fused = fuse(copy.deepcopy(model).to(memory_format=layout))
    images = torch.randn(2, 3, 33, 33).contiguous(memory_format=layout)
    run = _through_kernels(fused, Emulator())
    assert off_by_model(run, copy.deepcopy(model).double(), images) < 1e-5


@pytest.mark.usefixtures("_as_on_a_gpu")
def test_a_network_of_bottlenecks_equals_eager(deep_trunk: Any) -> None:
    """Fused SE-ResNet-50: excitations of up to sixteen blocks, channels_last."""
    model = with_se(deep_trunk, SEConfig("standard")).eval()
    fused = fuse(copy.deepcopy(model).to(memory_format=torch.channels_last))
    images = torch.randn(2, 3, 33, 33).contiguous(memory_format=torch.channels_last)
    run = _through_kernels(fused, Emulator())
    assert off_by_model(run, copy.deepcopy(model).double(), images) < 1e-5


@pytest.mark.usefixtures("_as_on_a_gpu")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_network_of_half_precision_is_what_it_is_on_the_cpu(dtype: Any, trunk: Any) -> None:
    """Fused SE-ResNet-18 against float64, as far off as on the CPU's own kernels.

    Folding rounds the weights anew, so that either may be farther off than the unfused one.
    """
    torch.manual_seed(0)
    model = with_se(trunk, SEConfig("standard")).eval().to(dtype)
    exact = copy.deepcopy(model).double()
    images = torch.randn(2, 3, 33, 33).to(dtype)
    fused = fuse(copy.deepcopy(model))
    off_on_kernels = off_by_model(_through_kernels(fused, Emulator()), exact, images)
    assert off_on_kernels < 1.5 * off_by_model(fused, exact, images)
    assert off_on_kernels < 3 * off_by_model(model, exact, images)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_instance_runs(dtype: torch.dtype) -> None:
    """What is compiled for GPUs is what the tests of this file launch, to the last instance."""
    emulator = Emulator()
    ours = Operators(emulator, arrivals)
    for layout in LAYOUTS:
        for shape in ((1, 16, 4, 4), (1, 3, 4, 4), (1, 2, 40, 40)):
            x = drawn(*shape, dtype=dtype, layout=layout)
            gate = torch.rand(shape[:2])
            ours.squeeze(x, False)
            for stride in (1, 2):
                ours.scale(x, gate, stride)
            ours.tail_(x, None, None, None, None)
            ours.tail_(x, None, gate, None, None)
            ours.tail_squeeze_(x, None, gate, None, None)
    for batch in (1, 4):
        ours.excite(
            torch.rand(batch, 16), drawn(2, 16, dtype=dtype), None, drawn(16, 2, dtype=dtype),
            None, None,
        )  # fmt: skip
    assert set(emulator.launches) == set(kernels(dtype))
