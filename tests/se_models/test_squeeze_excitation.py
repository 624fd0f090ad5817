"""The SE module against its formula in numpy, in every layout and dtype."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from se_models import SqueezeExcitation

LAYOUTS = (torch.contiguous_format, torch.channels_last)
SIZES = ((1, 1), (1, 7), (5, 3), (7, 7))


def feature_map(
    *shape: int,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Noise around a mean of each channel's own; around 0, every gate would be the bias's."""
    noise = torch.randn(shape) + 3 * torch.randn(*shape[:2], 1, 1)
    return noise.to(dtype=dtype, memory_format=layout)


def formula(module: SqueezeExcitation, x: Tensor) -> NDArray[np.float64]:
    """The output, x * sigmoid(W2 relu(W1 mean(x) + b1) + b2), in float64."""
    state = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    w1, w2 = state["fc1.weight"], state["fc2.weight"]
    b1, b2 = state.get("fc1.bias", 0.0), state.get("fc2.bias", 0.0)
    maps = x.double().numpy()
    squeezed = np.einsum("bchw->bc", maps) / (x.shape[2] * x.shape[3])
    hidden = np.maximum(np.einsum("kc,bc->bk", w1, squeezed) + b1, 0)
    gate = 1 / (1 + np.exp(-(np.einsum("ck,bk->bc", w2, hidden) + b2)))
    return np.asarray(np.einsum("bchw,bc->bchw", maps, gate), dtype=np.float64)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float64, 1e-12),
        (torch.float32, 1e-5),
        (torch.float16, 5e-3),
        (torch.bfloat16, 4e-2),
    ],
    ids=str,
)
@torch.no_grad()
def test_formula_and_layout(
    size: tuple[int, int], layout: torch.memory_format, dtype: torch.dtype, tolerance: float
) -> None:
    """The output follows the formula and keeps the input's shape, dtype and layout."""
    module = SqueezeExcitation(24, 4).to(dtype)
    x = feature_map(3, 24, *size, dtype=dtype, layout=layout)
    y = module(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.is_contiguous(memory_format=layout)
    np.testing.assert_allclose(
        y.double().numpy(), formula(module, x), rtol=tolerance, atol=tolerance
    )


@given(
    channels=st.integers(1, 40),
    reduction=st.integers(1, 50),
    min_hidden=st.integers(1, 20),
    bias=st.booleans(),
    batch=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
@torch.no_grad()
def test_formula_for_every_shape(
    channels: int,
    reduction: int,
    min_hidden: int,
    bias: bool,
    batch: int,
    height: int,
    width: int,
    seed: int,
) -> None:
    """Whatever the sizes, the output follows the formula and the input stays as it was."""
    torch.manual_seed(seed)
    module = SqueezeExcitation(channels, reduction, min_hidden=min_hidden, bias=bias).double()
    x = feature_map(batch, channels, height, width, dtype=torch.float64)
    before = x.clone()
    np.testing.assert_allclose(module(x).numpy(), formula(module, x), rtol=1e-10, atol=1e-12)
    assert torch.equal(x, before)


@torch.no_grad()
def test_first_demonstration() -> None:
    """A map of (1, 128, 224, 224) with r = 2 keeps its shape and follows the formula."""
    module = SqueezeExcitation(128, 2)
    x = feature_map(1, 128, 224, 224)
    y = module(x)
    assert y.shape == (1, 128, 224, 224)
    expected = torch.from_numpy(formula(module, x)).float()
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_gate_is_what_scales() -> None:
    """The gate has one weight in (0, 1) per image and channel, and the output is x times it."""
    module = SqueezeExcitation(16, 4)
    x = feature_map(2, 16, 5, 5)
    gate = module.gate(x)
    assert gate.shape == (2, 16)
    assert bool(((gate > 0) & (gate < 1)).all())
    torch.testing.assert_close(module(x), x * gate.reshape(2, 16, 1, 1))


@pytest.mark.parametrize(
    ("channels", "reduction", "min_hidden", "hidden"),
    [
        (64, 16, 1, 4),
        (64, 16, 32, 32),
        (512, 8, 32, 64),
        (100, 16, 1, 6),
        (8, 16, 1, 1),
        (8, 1, 1, 8),
    ],
)
def test_hidden_width(channels: int, reduction: int, min_hidden: int, hidden: int) -> None:
    """The bottleneck has channels // reduction units, and never fewer than min_hidden."""
    module = SqueezeExcitation(channels, reduction, min_hidden=min_hidden)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "fc1.weight": (hidden, channels),
        "fc1.bias": (hidden,),
        "fc2.weight": (channels, hidden),
        "fc2.bias": (channels,),
    }
    assert repr(module).startswith(f"SqueezeExcitation(\n  channels={channels}, hidden={hidden}\n")


def test_bias_can_be_left_out() -> None:
    """Without bias the two weights are the only parameters."""
    module = SqueezeExcitation(32, bias=False)
    assert [name for name, _ in module.named_parameters()] == ["fc1.weight", "fc2.weight"]


def test_default_reduction() -> None:
    """The reduction is 16 where none is given."""
    assert SqueezeExcitation(64).fc1.out_features == 64 // 16


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_meta(layout: torch.memory_format) -> None:
    """On the meta device the output has the input's shape, layout and device."""
    with torch.device("meta"):
        module = SqueezeExcitation(64)
        x = torch.empty(2, 64, 7, 5, memory_format=layout)
    y = module(x)
    assert (y.shape, y.stride(), y.device.type) == (x.shape, x.stride(), "meta")


def test_gradients() -> None:
    """The gradients of the input and of every parameter are those of finite differences."""
    module = SqueezeExcitation(4, 2).double()
    names = [name for name, _ in module.named_parameters()]
    x = feature_map(2, 4, 3, 2, dtype=torch.float64).requires_grad_()

    def call(x: Tensor, *parameters: Tensor) -> Any:
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, *module.parameters()))


@torch.no_grad()
def test_compiles_without_graph_break() -> None:
    """torch.compile takes the module as one graph with the same output."""
    torch.compiler.reset()
    module = SqueezeExcitation(16)
    x = feature_map(2, 16, 5, 5)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), module(x))


@pytest.mark.parametrize("field", ["channels", "reduction", "min_hidden"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "16", None])
def test_refusals(field: str, value: object) -> None:
    """A size that is no positive integer is a ValueError naming field, rule and value."""
    sizes: dict[str, Any] = {"channels": 16, field: value}
    message = f"{field} must be a positive integer, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SqueezeExcitation(**sizes)
