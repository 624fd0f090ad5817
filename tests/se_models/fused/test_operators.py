"""Each fused operator computes what it says: by the reference anywhere, by kernels on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from se_models.fused.operators import (
    REFERENCES,
    excite,
    scale,
    squeeze,
    tail_,
    tail_squeeze_,
)
from se_models.fused.shapes import wide
from tests.se_models.fused.maps import (
    DTYPES,
    EPILOGUES,
    LAYOUTS,
    SHAPES,
    TOLERANCE,
    drawn,
    exact_tail,
    off,
    reference,
    spread_out,
    tail_arguments,
    transposed,
    unaligned,
    window,
)

pytestmark = pytest.mark.usefixtures("cpu_kernels")


@pytest.mark.parametrize("given", EPILOGUES)
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
    """Each gate between 0 and 1, times its factor; of tensors that lie in any way."""
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
    by_unit = (*arguments[:3], weight2.t().contiguous().t(), *arguments[4:])
    spread = [None if each is None else spread_out(each) for each in arguments]
    for function in (excite, reference("excite")):
        for layers_given in (arguments, by_unit, spread):
            assert off(function(*layers_given), exact) <= 1e-5


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_several_at_one_call_are_the_very_same(dtype: torch.dtype, layout: Any) -> None:
    """Of squeeze, excite, tail and scale, by kernels; the references call these one by one."""
    x = drawn(2, 37, 5, 6, dtype=dtype).contiguous(memory_format=layout)
    shortcut = drawn(2, 37, 5, 6, dtype=dtype).contiguous(memory_format=layout)
    layers = (
        drawn(9, 37, dtype=dtype), drawn(9, dtype=dtype), drawn(37, 9, dtype=dtype), None,
        drawn(37, dtype=wide(dtype)),
    )  # fmt: skip
    bias, shortcut_gate = drawn(37, dtype=wide(dtype)), drawn(2, 37, dtype=wide(dtype))
    means = squeeze(x, False)
    gate = excite(means, *layers)
    finished = x.clone(memory_format=torch.preserve_format)
    tail_(finished, shortcut, gate, bias, shortcut_gate)
    for by in (lambda name: getattr(torch.ops.se_models, name), REFERENCES.__getitem__):
        assert torch.equal(by("squeeze_excite")(x, *layers), gate)
        assert torch.equal(by("excite_scale")(x, means, *layers), scale(x, gate, 1))
        y = x.clone(memory_format=torch.preserve_format)
        by("squeeze_excite_tail_")(y, *layers, shortcut, bias, shortcut_gate)
        assert torch.equal(y, finished)


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


@pytest.mark.parametrize("size", [224, 1024])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_flat_map_has_its_value_for_a_mean(layout: Any, size: int) -> None:
    """Where all roundings go the same way, so that a sum of very many loses digits."""
    x = torch.full((1, 3, size, size), 0.3).contiguous(memory_format=layout)
    exact = torch.full((1, 3), 0.3, dtype=torch.float64)
    assert off(squeeze(x, False), exact) <= 1e-5
    assert off(tail_squeeze_(x, None, None, None, None), exact) <= 1e-5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("given", EPILOGUES)
def test_the_reference_is_the_same_formula(given: str, dtype: torch.dtype) -> None:
    """As it runs where there are no kernels: on other devices, or without a compiler."""
    shape = (2, 5, 4, 3)
    x, gate = drawn(*shape, dtype=dtype), torch.rand(2, 5).to(wide(dtype))
    arguments = tail_arguments(shape, dtype, given, None)
    exact = exact_tail(x, *arguments)
    for function in (reference("tail_"), reference("tail_squeeze_")):
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
