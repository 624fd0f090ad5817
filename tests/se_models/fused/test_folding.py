"""A folded convolution is the convolution, BatchNorm and gate that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from se_models.fused.folding import FoldedConv, affine
from se_models.fused.shapes import wide
from tests.se_models.fused.agreement import calls


def norm_of(channels: int, *, affine: bool = True, eps: float = 1e-5) -> nn.BatchNorm2d:
    """With statistics and parameters of its own in every channel, in float64."""
    norm = nn.BatchNorm2d(channels, eps=eps, affine=affine).double().eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if affine:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return norm


def off(value: Tensor, exact: Tensor) -> float:
    assert value.shape == exact.shape
    return float((value - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_norm_goes_into_the_convolution(bias: bool, affine: bool) -> None:
    """Its weights, statistics and eps, beside a bias that is there already."""
    conv = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2, bias=bias).double()
    norm = norm_of(8, affine=affine, eps=0.1)
    x = torch.randn(2, 6, 9, 7).double()
    with torch.no_grad():
        assert off(FoldedConv(conv, norm)(x), norm(conv(x))) < 1e-14
        assert off(FoldedConv(conv, None)(x), conv(x)) < 1e-14


def test_a_norm_is_a_factor_and_a_summand() -> None:
    """Of each channel, in the dtype that is asked for."""
    norm = norm_of(4, eps=0.1)
    factor, summand = affine(norm, torch.float64)
    y = torch.randn(2, 4, 3, 3).double()
    with torch.no_grad():
        assert off(y * factor[:, None, None] + summand[:, None, None], norm(y)) < 1e-14
    assert affine(norm, torch.float32)[0].dtype == torch.float32


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [2, 9])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(4, 6, 1, stride=2),
        nn.Conv2d(4, 6, 1, stride=3, padding=1),
        nn.Conv2d(4, 6, 1, stride=(2, 1)),
        nn.Conv2d(4, 6, 1, stride=(1, 2)),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 6, 1, stride=2, padding="valid"),
        nn.Conv2d(4, 6, 1, stride=2, groups=2),
    ],
    ids=str,
)
def test_a_gate_goes_where_fewest_values_are(conv: nn.Conv2d, size: int, batch: int) -> None:
    """Into weights or map, at any stride and padding: it is the convolution of x * gate."""
    conv = conv.double()
    x, gate = torch.randn(batch, 4, size + 2, size).double(), torch.rand(batch, 4).double()
    folded = FoldedConv(conv, norm := norm_of(6))
    with torch.no_grad():
        assert off(folded.scaled(x, gate), norm(conv(x * gate[:, :, None, None]))) < 1e-14


def test_weights_take_the_gate_where_they_are_fewer() -> None:
    """For one image and one group alone: others meet several gates."""
    one = torch.empty(1, 4, 9, 9)
    assert FoldedConv(nn.Conv2d(4, 6, 1), None).gates_weights(one)
    assert not FoldedConv(nn.Conv2d(4, 6, 1), None).gates_weights(torch.empty(2, 4, 9, 9))
    assert not FoldedConv(nn.Conv2d(4, 6, 1), None).gates_weights(torch.empty(1, 4, 2, 2))
    assert not FoldedConv(nn.Conv2d(4, 6, 1, groups=2), None).gates_weights(one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_gate_that_is_wider_than_weights_is_not_cast_for_them(dtype: torch.dtype) -> None:
    """A cast would be a call more than a product with the map."""
    folded, x = FoldedConv(nn.Conv2d(4, 6, 1).to(dtype), None), torch.zeros(1, 4, 9, 9, dtype=dtype)
    assert folded.gates_weights(x) == (dtype not in (torch.bfloat16, torch.float16))
    names = calls(lambda images: folded.scaled(images, torch.ones(1, 4, dtype=wide(dtype))), x)
    assert names["aten._to_copy.default"] == 0
    assert names["aten.mul.Tensor"] + names["se_models.scale.default"] == 1
