"""Each fused operator computes what it says: by the reference anywhere, by kernels on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from se_models.fused import operators
from se_models.fused.cpu import build
from se_models.fused.operators import excite, scale, squeeze, tail_, tail_squeeze_, wide

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
# How far max|a - b| / max|b| may be from float64, of what is stored in each dtype.
TOLERANCE = {
    torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2,
}  # fmt: skip
LAYOUTS = [torch.contiguous_format, torch.channels_last]
# One pixel, odd sizes, fewer values than a vector holds, several pieces of work, several images.
SHAPES = [
    (1, 1, 1, 1), (2, 3, 1, 1), (1, 5, 3, 7), (3, 8, 5, 5), (1, 37, 9, 1), (2, 64, 28, 28),
    (1, 512, 7, 7), (1, 3, 101, 67), (2, 1031, 3, 3),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Without them this file would test the reference alone."""
    assert build.load() is None


def off(value: Tensor, exact: Tensor) -> float:
    assert value.shape == exact.shape
    return float((value.double() - exact).abs().max() / exact.abs().max().clamp_min(1e-30))


def drawn(*shape: int, dtype: torch.dtype = torch.float32, layout: Any = None) -> Tensor:
    values = torch.randn(shape).to(dtype)
    return values if layout is None else values.contiguous(memory_format=layout)


def reference(name: str) -> Callable[..., Any]:
    """What runs where there is no kernel."""
    found: Callable[..., Any] = getattr(operators, f"_{name}")
    return found


def exact_tail(
    x: Tensor,
    shortcut: Tensor | None,
    gate: Tensor | None,
    bias: Tensor | None,
    shortcut_gate: Tensor | None,
) -> Tensor:
    """The formula of the module's docstring, in float64."""
    y = x.double()
    if gate is not None:
        y = y * gate.double()[:, :, None, None]
    if bias is not None:
        y = y + bias.double()[None, :, None, None]
    if shortcut is not None:
        gates = 1 if shortcut_gate is None else shortcut_gate.double()[:, :, None, None]
        y = y + shortcut.double() * gates
    return y.clamp_min(0)


def tail_arguments(
    shape: tuple[int, ...], dtype: torch.dtype, given: str, layout: Any
) -> list[Tensor | None]:
    """Shortcut, gate, bias and shortcut's gate, of which those named by a letter are there."""
    batch, channels = shape[:2]
    acc = wide(dtype)
    made = {
        "s": drawn(*shape, dtype=dtype, layout=layout),
        "g": torch.rand(batch, channels).to(acc),
        "b": drawn(channels, dtype=acc),
        "h": torch.rand(batch, channels).to(acc),
    }
    return [tensor if letter in given else None for letter, tensor in made.items()]


@pytest.mark.parametrize("given", ["", "s", "g", "sg", "sgb", "sh", "sgbh"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_tail_is_its_formula(layout: Any, dtype: torch.dtype, given: str) -> None:
    """In place, whatever it is given, for every shape; with its means or without."""
    for shape in SHAPES:
        x = drawn(*shape, dtype=dtype, layout=layout)
        arguments = tail_arguments(shape, dtype, given, layout)
        exact = exact_tail(x, *arguments)
        for operator in (tail_, tail_squeeze_):
            y = x.clone()
            means = operator(y, *arguments)
            assert off(y, exact) <= TOLERANCE[dtype], shape
            assert y.is_contiguous(memory_format=layout)
        assert off(means, exact.mean(dim=(2, 3))) <= TOLERANCE[dtype], shape
        assert means.dtype == wide(dtype)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_squeeze_is_a_mean(layout: Any, dtype: torch.dtype, relu: bool) -> None:
    """Over height and width, of the map or of its ReLU; the map stays as it is."""
    for shape in SHAPES:
        x = drawn(*shape, dtype=dtype, layout=layout)
        before = x.clone()
        means = squeeze(x, relu)
        values = x.double().clamp_min(0) if relu else x.double()
        scale_of = values.abs().mean(dim=(2, 3)).max().clamp_min(1e-30)
        error = (means.double() - values.mean(dim=(2, 3))).abs().max() / scale_of
        assert error <= 2e-6, shape
        assert means.dtype == wide(dtype)
        assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("factored", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("channels", "hidden"), [(1, 1), (5, 2), (64, 4), (515, 33), (2048, 128)])
def test_an_excitation_is_two_layers(
    channels: int, hidden: int, batch: int, factored: bool, biased: bool, dtype: torch.dtype
) -> None:
    """Each gate between 0 and 1, times its factor."""
    squeezed = drawn(batch, channels, dtype=wide(dtype))
    weight1, weight2 = (
        drawn(hidden, channels, dtype=dtype) / channels**0.5,
        drawn(channels, hidden, dtype=dtype) / hidden**0.5,
    )
    biases = (drawn(hidden, dtype=dtype), drawn(channels, dtype=dtype)) if biased else (None, None)
    factor = drawn(channels, dtype=wide(dtype)) if factored else None
    summands = [0 if bias is None else bias.double() for bias in biases]
    hidden_values = (squeezed.double() @ weight1.double().T + summands[0]).clamp_min(0)
    exact = torch.sigmoid(hidden_values @ weight2.double().T + summands[1])
    if factor is not None:
        exact = exact * factor
    arguments = (squeezed, weight1, biases[0], weight2, biases[1], factor)
    for function in (excite, reference("excite")):
        assert off(function(*arguments), exact) <= 1e-5


@pytest.mark.parametrize("gates", [3, 64])
def test_gates_may_be_of_other_channels(gates: int) -> None:
    """As many as the second layer has, in the kernel, the reference and while tracing."""
    layers = (drawn(4, 9), drawn(4), drawn(gates, 4), drawn(gates), drawn(gates))
    squeezed = drawn(2, 9)
    weight1, bias1, weight2, bias2, factor = (each.double() for each in layers)
    hidden = (squeezed.double() @ weight1.T + bias1).clamp_min(0)
    exact = torch.sigmoid(hidden @ weight2.T + bias2) * factor
    for function in (excite, reference("excite")):
        assert off(function(squeezed, *layers), exact) <= 1e-5
    traced = excite(squeezed.to("meta"), *(each.to("meta") for each in layers))
    assert traced.shape == exact.shape
    torch.library.opcheck(excite, (squeezed, *layers))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_scaling_takes_every_so_manieth_pixel(stride: int, layout: Any, dtype: torch.dtype) -> None:
    """Into a map of its own, in the same layout."""
    for shape in SHAPES:
        x = drawn(*shape, dtype=dtype, layout=layout)
        gate = torch.rand(shape[:2]).to(wide(dtype))
        exact = x.double()[:, :, ::stride, ::stride] * gate.double()[:, :, None, None]
        y = scale(x, gate, stride)
        assert off(y, exact) <= TOLERANCE[dtype], shape
        assert y.is_contiguous(memory_format=layout)
        assert y.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("given", ["", "s", "g", "sgb", "sh", "sgbh"])
def test_the_reference_is_the_same_formula(given: str, dtype: torch.dtype) -> None:
    """As it runs where there are no kernels: on other devices, or without a compiler."""
    shape = (2, 5, 4, 3)
    x, gate = drawn(*shape, dtype=dtype), torch.rand(2, 5).to(wide(dtype))
    arguments = tail_arguments(shape, dtype, given, None)
    exact = exact_tail(x, *arguments)
    for function in (reference("tail"), reference("tail_squeeze")):
        y = x.clone()
        means = function(y, *arguments)
        # Eager rounds after each of its steps.
        assert off(y, exact) <= 4 * TOLERANCE[dtype]
    assert off(means, exact.mean(dim=(2, 3))) <= 4 * TOLERANCE[dtype]
    assert means.dtype == wide(dtype)
    exact = x.double()[:, :, ::2, ::2] * gate.double()[:, :, None, None]
    assert off(reference("scale")(x, gate, 2), exact) <= 2 * TOLERANCE[dtype]
    for relu, values in ((False, x.double()), (True, x.double().clamp_min(0))):
        assert off(reference("squeeze")(x, relu), values.mean(dim=(2, 3))) <= 1e-5


def unaligned(x: Tensor) -> Tensor:
    """The same values, one element past where an allocation begins."""
    room = torch.empty(x.numel() + 1, dtype=x.dtype)
    moved = room[1:].as_strided(x.shape, x.stride())
    return moved.copy_(x)


def window(x: Tensor) -> Tensor:
    """The same values as a part of a larger map, so that they lie in no dense layout."""
    room = torch.full((x.shape[0], x.shape[1] + 1, x.shape[2] + 2, x.shape[3] + 3), float("nan"))
    room = room.to(x.dtype)
    return room[:, 1:, 1:-1, 2:-1].copy_(x)


def transposed(x: Tensor) -> Tensor:
    """The same values with height and width changed places in memory."""
    return x.transpose(2, 3).contiguous().transpose(2, 3)


@pytest.mark.parametrize("view", [unaligned, window, transposed])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_any_view_will_do(layout: Any, view: Callable[[Tensor], Tensor]) -> None:
    """As x, and as the shortcut beside an x that is dense; in the layout that tracing foretells."""
    shape = (2, 19, 6, 5)
    x = drawn(*shape, layout=layout)
    arguments = tail_arguments(shape, torch.float32, "sgbh", layout)
    exact = exact_tail(x, *arguments)
    moved = view(x)
    means = tail_squeeze_(moved, *arguments)
    assert off(moved, exact) <= 2e-6
    assert off(means, exact.mean(dim=(2, 3))) <= 2e-6
    assert arguments[0] is not None
    y = x.clone()
    tail_(y, view(arguments[0]), *arguments[1:])
    assert off(y, exact) <= 2e-6
    assert off(squeeze(view(x), False), x.double().mean(dim=(2, 3))) <= 1e-5
    gate = arguments[1]
    assert gate is not None
    exact = x.double()[:, :, ::2, ::2] * gate[:, :, None, None]
    foretold = scale(view(x).to("meta"), gate.to("meta"), 2)
    for function in (scale, reference("scale")):
        scaled = function(view(x), gate, 2)
        assert off(scaled, exact) <= 2e-6
        assert scaled.stride() == foretold.stride()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, size) for size in (3, 70, 12, 12))),
    letters=st.sampled_from(["", "s", "gb", "sgb", "sh", "sgbh"]),
    layouts=st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    threads=st.integers(1, 3),
)
def test_any_shape_will_do(
    shape: tuple[int, int, int, int],
    letters: str,
    layouts: tuple[Any, Any],
    dtype: torch.dtype,
    threads: int,
) -> None:
    """And layouts of x and shortcut that differ; by any number of threads, the very same."""
    torch.manual_seed(0)  # or what fails could not be replayed
    x = drawn(*shape, dtype=dtype, layout=layouts[0])
    arguments = tail_arguments(shape, dtype, letters, layouts[1])
    one, plain = x.clone(), x.clone()
    means = tail_squeeze_(one, *arguments)
    assert off(one, exact_tail(x, *arguments)) <= TOLERANCE[dtype]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        several = x.clone()
        assert torch.equal(tail_squeeze_(several, *arguments), means)
        tail_(plain, *arguments)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(several, one)
    assert torch.equal(plain, one)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_what_is_not_a_number_stays_so(layout: Any) -> None:
    """ReLU hides no NaN, in whole vectors or in what is left of them."""
    x = drawn(1, 19, 5, 5, layout=layout)
    x[0, 3, 1, 1] = x[0, 18, 4, 4] = float("nan")
    means = squeeze(x, True)
    tail_(x, None, None, None, None)
    assert torch.isnan(x).sum() == 2
    assert torch.isnan(means).nonzero().tolist() == [[0, 3], [0, 18]]


def test_gradients_are_refused() -> None:
    """By every operator, since none has any; without gradients enabled nobody asks for them."""
    gate = torch.rand(2, 6, requires_grad=True)
    x, layers = drawn(2, 6, 5, 4), (drawn(3, 6), None, drawn(6, 3), None, None)
    asked: list[tuple[Any, tuple[Any, ...]]] = [
        (squeeze, (drawn(2, 6, 5, 4).requires_grad_(), False)),
        (excite, (gate, *layers)),
        (tail_, (x, None, gate, None, None)),
        (tail_squeeze_, (x, None, gate, None, None)),
        (scale, (x, gate, 1)),
    ]
    for operator, arguments in asked:
        with pytest.raises(RuntimeError, match="is for inference: no argument may require grad"):
            operator(*arguments)
        with torch.no_grad():
            operator(*arguments)


def samples() -> list[tuple[Any, tuple[Any, ...]]]:
    x, gate = drawn(2, 6, 5, 4), torch.rand(2, 6)
    pixels = x.contiguous(memory_format=torch.channels_last)
    layers = (drawn(3, 6), drawn(3), drawn(6, 3), None, drawn(6))
    return [
        (squeeze, (x, True)),
        (squeeze, (pixels, False)),
        (excite, (drawn(2, 6), *layers)),
        (excite, (drawn(6, 2).T, *layers)),
        (tail_, (x.clone(), drawn(2, 6, 5, 4), gate, None, None)),
        (tail_squeeze_, (x.clone(), drawn(2, 6, 5, 4), gate, drawn(6), gate)),
        (tail_squeeze_, (pixels.clone(), None, None, None, None)),
        (scale, (x, gate, 2)),
        (scale, (pixels, gate, 1)),
        (scale, (transposed(x), gate, 1)),
    ]


@pytest.mark.parametrize("place", range(10))
def test_torch_finds_no_fault(place: int) -> None:
    """Schema, shapes while tracing, and functionalisation are as torch wants them."""
    operator, arguments = samples()[place]
    torch.library.opcheck(operator, arguments)


def test_the_counter_knows_their_arithmetic() -> None:
    """Two per multiply-add of both layers of either excitation; nothing for the rest."""
    with FlopCounterMode(display=False) as counter:
        for operator, arguments in samples():
            operator(*arguments)
    assert counter.get_total_flops() == 2 * (2 * 2 * (2 * 6 * 3))


@pytest.mark.parametrize(
    ("operator", "arguments", "told"),
    [
        (squeeze, (torch.ones(2, 3), False), r"x must have the shape \(B, C, H, W\)"),
        (squeeze, (torch.ones(2, 3, 0, 4), False), "x must have channels and pixels"),
        (tail_, (torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 4), *[None] * 3), "shortcut must be"),
        (tail_, (torch.ones(1, 2, 3, 3), None, torch.ones(2), None, None), "gate must have the"),
        (tail_, (torch.ones(1, 2, 3, 3), None, torch.ones(1, 2).double(), None, None),
         "gate must be of Float, got Double"),
        (tail_, (torch.ones(1, 2, 3, 3), None, None, None, torch.ones(1, 2)),
         "shortcut_gate must come with a shortcut"),
        (scale, (torch.ones(1, 2, 3, 3), torch.ones(1, 2), 0), "stride must be a positive"),
        (excite, (torch.ones(1, 4), torch.ones(2, 3), None, torch.ones(4, 2), None, None),
         "weight of the first layer must have the shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(operator: Any, arguments: Any, told: str) -> None:
    """By the name of what it is, and the rule it breaks."""
    with pytest.raises(RuntimeError, match=told):
        operator(*arguments)


def test_no_image_is_no_error() -> None:
    """Of an empty batch come empty means."""
    x = torch.empty(0, 4, 3, 3)
    assert squeeze(x, False).shape == (0, 4)
    assert tail_squeeze_(x, None, None, None, None).shape == (0, 4)
