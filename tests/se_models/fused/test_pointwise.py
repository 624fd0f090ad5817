"""1x1 convolutions compute what they say, whatever they take along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from se_models.fused.operators import (
    excite,
    pointwise,
    pointwise_squeeze,
    pointwise_squeeze_excite,
)
from se_models.fused.pointwise import PointwiseConvolution
from tests.se_models.fused.maps import (
    EPILOGUES,
    LAYOUTS,
    drawn,
    off,
    reference,
    tail_arguments,
    transposed,
    unaligned,
    window,
)
from tests.se_models.fused.products import TOLERANCE, needs_products

pytestmark = needs_products
# Fewer outputs than a block; blocks of 64, 32 and 16; inputs that fill no vector; one pixel; one
# piece and several; gates that go into weights, of maps so large, and into maps.
SIZES = [
    (1, 3, 5, 1, 1), (2, 16, 64, 7, 7), (1, 70, 24, 9, 4), (3, 33, 96, 5, 6), (1, 64, 48, 14, 14),
    (2, 8, 16, 20, 19), (1, 256, 128, 28, 28),
]  # fmt: skip


# Of an excitation of 24 channels.
LAYERS = (drawn(3, 24), drawn(3), drawn(24, 3), None, drawn(24))


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def blocked(weight: Tensor) -> Tensor:
    """As the operators take it."""
    return PointwiseConvolution(weight, None, 1)._weight


def exact_of(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    x_gate: Tensor | None,
    stride: int,
    tail: list[Tensor | None],
    relu: bool,
) -> Tensor:
    """The formula of the operators' docstring, in float64."""

    def wide(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.double()

    taken = x.double() if x_gate is None else x.double() * x_gate.double()[:, :, None, None]
    y = nn.functional.conv2d(taken, weight.double(), wide(bias), stride)
    shortcut, gate, shift, shortcut_gate = map(wide, tail)
    if gate is not None:
        y = y * gate[:, :, None, None]
    if shift is not None:
        y = y + shift[None, :, None, None]
    if shortcut is not None:
        y = y + shortcut * (1 if shortcut_gate is None else shortcut_gate[:, :, None, None])
    return y.clamp_min(0) if relu else y


def arguments_of(
    size: tuple[int, int, int, int, int], stride: int, given: str, layout: Any = None
) -> tuple[Any, ...]:
    """All but the ReLU; ``c`` stands for the bias, ``x`` for the gate of x, the rest for a tail."""
    batch, inputs, outputs, height, width = size
    rows, columns = -(-height // stride), -(-width // stride)
    tail = tail_arguments((batch, outputs, rows, columns), torch.float32, given, layout)
    return (
        drawn(batch, inputs, height, width, layout=layout),
        drawn(outputs, inputs, 1, 1),
        drawn(outputs) if "c" in given else None,
        torch.rand(batch, inputs) if "x" in given else None,
        stride,
        tail,
    )


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("given", [*EPILOGUES, "c", "x", "cxsgbh"])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_its_formula(stride: int, given: str, relu: bool) -> None:
    """Whatever it is given, by any number of threads; with its means or without."""
    for size in SIZES:
        x, weight, bias, x_gate, _, tail = arguments_of(size, stride, given)
        exact = exact_of(x, weight, bias, x_gate, stride, tail, relu)
        arguments = (x, blocked(weight), bias, x_gate, stride, *tail, relu)
        for name, operator in (("pointwise", pointwise), ("pointwise_squeeze", pointwise_squeeze)):
            for function in (operator, reference(name)):
                found = function(*arguments)
                y = found if name == "pointwise" else found[0]
                assert off(y, exact) <= TOLERANCE, size
                assert y.is_contiguous(memory_format=torch.channels_last)
            if name == "pointwise_squeeze":
                means_off = (found[1].double() - exact.mean(dim=(2, 3))).abs().max()
                assert means_off <= TOLERANCE * exact.abs().max(), size


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(
        st.integers(1, 3),
        st.integers(1, 70),
        st.sampled_from([1, 7, 17, 63, 64, 80, 96, 128]),
        st.integers(1, 12),
        st.integers(1, 12),
    ),
    letters=st.sampled_from(["", "c", "cs", "xgb", "cxsgb", "xsh", "cxsgbh"]),
    layout=st.sampled_from(LAYOUTS),
    stride=st.integers(1, 3),
    threads=st.integers(1, 4),
)
def test_any_size_will_do(
    size: tuple[int, int, int, int, int], letters: str, layout: Any, stride: int, threads: int
) -> None:
    """By any number of threads, the very same."""
    torch.manual_seed(0)  # or what fails could not be replayed
    x, weight, bias, x_gate, _, tail = arguments_of(size, stride, letters, layout)
    arguments = (x, blocked(weight), bias, x_gate, stride, *tail, True)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        y, means = pointwise_squeeze(*arguments)
        torch.set_num_threads(threads)
        again, means_again = pointwise_squeeze(*arguments)
        without_means = pointwise(*arguments)
    finally:
        torch.set_num_threads(before)
    exact = exact_of(x, weight, bias, x_gate, stride, tail, True)
    assert float((y.double() - exact).abs().max()) <= 1e-4
    assert torch.equal(again, y)
    assert torch.equal(means_again, means)
    assert torch.equal(without_means, y)


@pytest.mark.parametrize("relu", [True, False])
def test_with_its_gate_it_is_one_call(relu: bool) -> None:
    """That computes the very same as two."""
    x, weight, bias, x_gate, stride, tail = arguments_of((2, 19, 24, 6, 5), 2, "cxsgbh")
    arguments = (x, blocked(weight), bias, x_gate, stride, *tail, relu)
    y, means = pointwise_squeeze(*arguments)
    gate = excite(means, *LAYERS)
    for function in (pointwise_squeeze_excite, reference("pointwise_squeeze_excite")):
        for found, expected in zip(function(*arguments, *LAYERS), (y, means, gate), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("view", [unaligned, window, transposed])
def test_any_view_will_do(view: Any) -> None:
    """As x, and as the shortcut."""
    x, weight, bias, x_gate, _, tail = arguments_of((2, 19, 24, 6, 5), 1, "cxsgbh")
    exact = exact_of(x, weight, bias, x_gate, 1, tail, True)
    shortcut, *others = tail
    assert shortcut is not None
    y = pointwise(view(x), blocked(weight), bias, x_gate, 1, view(shortcut), *others, True)
    assert off(y, exact) <= TOLERANCE


@pytest.mark.parametrize("relu", [True, False])
def test_what_is_not_a_number_stays_so(relu: bool) -> None:
    """Wherever it comes from; and no other image has any part in it."""
    x, weight, bias, x_gate, _, tail = arguments_of((2, 19, 24, 6, 5), 1, "cxsgbh")
    x[1, 3, 2, 2] = float("nan")
    y, means = pointwise_squeeze(x, blocked(weight), bias, x_gate, 1, *tail, relu)
    assert y[1, :, 2, 2].isnan().all()
    assert y.isnan().sum() == 24
    assert means[1].isnan().all()
    assert not means[0].isnan().any()


def test_a_gate_that_is_not_a_number_shows() -> None:
    """In its image alone, whether the map or the weights are multiplied by it."""
    for side in (3, 20):
        x, weight, _, x_gate, _, _ = arguments_of((2, 5, 16, side, side), 1, "x")
        assert x_gate is not None
        x_gate[1, 2] = float("nan")
        y = pointwise(x, blocked(weight), None, x_gate, 1, *[None] * 4, True)
        assert y[1].isnan().all()
        assert not y[0].isnan().any()


def test_torch_finds_no_fault() -> None:
    """Schema, shapes while tracing, and functionalisation are as torch wants them."""
    for letters, stride in (("", 1), ("cx", 2), ("cxsgbh", 1)):
        x, weight, bias, x_gate, _, tail = arguments_of((2, 6, 20, 5, 4), stride, letters)
        arguments = (x, blocked(weight), bias, x_gate, stride, *tail, False)
        for operator in (pointwise, pointwise_squeeze):
            torch.library.opcheck(operator, arguments)
    x, weight, _, _, _, tail = arguments_of((2, 6, 24, 5, 4), 1, "s")
    arguments = (x, blocked(weight), None, None, 1, *tail, True)
    torch.library.opcheck(pointwise_squeeze_excite, (*arguments, *LAYERS))


def test_the_counter_knows_their_arithmetic() -> None:
    """That of the convolution: two per multiply-add, of the pixels that it takes."""
    x, weight, bias, x_gate, _, tail = arguments_of((2, 6, 20, 5, 4), 2, "cxsgbh")
    arguments = (x, blocked(weight), bias, x_gate, 2, *tail, False)
    for operator in (pointwise, pointwise_squeeze):
        with FlopCounterMode(display=False) as counter:
            operator(*arguments)
        assert counter.get_total_flops() == 2 * 2 * (3 * 2) * 6 * 20
    x, weight, _, _, _, tail = arguments_of((2, 6, 24, 5, 4), 2, "s")
    with FlopCounterMode(display=False) as counter:
        pointwise_squeeze_excite(x, blocked(weight), None, None, 2, *tail, True, *LAYERS)
    assert counter.get_total_flops() == 2 * 2 * ((3 * 2) * 6 * 24 + 24 * 3 + 3 * 24)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({0: torch.ones(2, 3)}, r"x must have the shape \(B, C, H, W\)"),
        ({0: torch.ones(1, 4, 3, 3).double()}, "x and weight must be of Float, got Double"),
        ({1: torch.ones(1, 5, 8)}, r"weight must have the shape \(blocks, 4, outputs of a block\)"),
        ({2: torch.ones(9)}, r"bias must have the shape \[8\]"),
        ({3: torch.ones(1, 8)}, r"x_gate must have the shape \[1, 4\]"),
        ({4: 0}, "stride must be a positive integer, got 0"),
        ({5: torch.ones(1, 8, 3, 4)}, "shortcut must be like x"),
        ({6: torch.ones(1, 4)}, r"gate must have the shape \[1, 8\]"),
        ({7: torch.ones(4)}, r"shift must have the shape \[8\]"),
        ({8: torch.ones(1, 8)}, "shortcut_gate must come with a shortcut"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[int, Any], told: str) -> None:
    """By the name of what it is, and the rule it breaks."""
    arguments: list[Any] = [torch.ones(1, 4, 3, 3), torch.ones(1, 4, 8), None, None, 1, *[None] * 4]
    for place, value in changed.items():
        arguments[place] = value
    with pytest.raises(RuntimeError, match=told):
        pointwise(*arguments, True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own, of tangents
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_derivatives_are_refused() -> None:
    """As by all fused operators."""
    for operator, arguments in asked_of(drawn(1, 4, 3, 3).requires_grad_()):
        with pytest.raises(RuntimeError, match="is for inference: no argument may require grad"):
            operator(*arguments)
    x = drawn(1, 4, 3, 3)
    with forward_ad.dual_level():
        for operator, arguments in asked_of(forward_ad.make_dual(x, x)):
            with pytest.raises(RuntimeError, match="is for inference: no argument may have a tan"):
                operator(*arguments)


def asked_of(x: Tensor) -> list[tuple[Any, tuple[Any, ...]]]:
    """Each operator, on ``x``."""
    asked = (x, torch.ones(1, 4, 8), None, None, 1, *[None] * 4, True)
    layers = (torch.ones(2, 8), None, torch.ones(8, 2), None, None)
    return [
        (pointwise, asked),
        (pointwise_squeeze, asked),
        (pointwise_squeeze_excite, (*asked, *layers)),
    ]


def test_no_image_is_no_error() -> None:
    """Of an empty batch come empty maps and means."""
    weight = torch.ones(1, 4, 8)
    y, means = pointwise_squeeze(torch.empty(0, 4, 3, 3), weight, None, None, 1, *[None] * 4, True)
    assert y.shape == (0, 8, 3, 3)
    assert means.shape == (0, 8)
