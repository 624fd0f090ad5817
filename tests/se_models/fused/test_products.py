"""Which convolutions are products of matrices, and when."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from se_models.fused import pointwise as ours
from se_models.fused.folding import FoldedConv
from se_models.fused.latest import KINDS
from se_models.fused.pointwise import can_take_along
from tests.se_models.fused.agreement import calls
from tests.se_models.fused.maps import drawn, off
from tests.se_models.fused.products import TOLERANCE, needs_products

pytestmark = needs_products


@pytest.mark.parametrize(
    ("conv", "is_one"),
    [
        (nn.Conv2d(4, 64, 1), True),
        (nn.Conv2d(4, 6, 1), True),
        (nn.Conv2d(4, 48, 1, stride=2, padding="valid"), True),
        (nn.Conv2d(4, 72, 1), False),  # 64 would have to be cut into blocks of 8
        (nn.Conv2d(4, 64, 1, stride=(1, 2)), False),
        (nn.Conv2d(4, 64, 1, padding=1), False),
        (nn.Conv2d(4, 64, 1, groups=2), False),
        (nn.Conv2d(4, 64, 3), False),
    ],
    ids=str,
)
def test_which_convolutions_are_products(conv: nn.Conv2d, is_one: bool) -> None:
    """The 1x1 ones whose outputs can be cut into blocks; and they compute what they are."""
    folded = FoldedConv(conv, None, kinds=KINDS)
    x, gate = drawn(1, 4, 9, 8), torch.rand(1, 4)
    assert folded.takes_along(x) == is_one
    with torch.no_grad():
        for relu in (False, True):
            for found, taken in (
                (folded(x, relu=relu), x),
                (folded.scaled(x, gate, relu=relu), x * gate[:, :, None, None]),
            ):
                exact = copy.deepcopy(conv).double()(taken.double())
                assert off(found, exact.clamp_min(0) if relu else exact) <= TOLERANCE
        called = calls(lambda images: folded.scaled(images, gate), x)
    assert called["se_models.pointwise.default"] == is_one
    assert called["se_models.scale.default"] == (not is_one)


@pytest.mark.parametrize(("capability", "widest"), [("AVX512", 64), ("AVX2", 32)])
@pytest.mark.parametrize("outputs", [40, 48, 64, 96, 128])
def test_blocks_suit_the_cpu(
    outputs: int, capability: str, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are narrower with fewer registers, and what comes out is the same."""
    x, conv = drawn(2, 19, 6, 5), nn.Conv2d(19, outputs, 1).requires_grad_(False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    product = ours.PointwiseConvolution(conv.weight, conv.bias, 1)
    block = {40: 40, 48: 48, 64: widest, 96: 32, 128: widest}[outputs]
    assert product._weight.shape == (outputs // block, 19, block)
    assert torch.equal(product.plain_weight(), conv.weight)
    assert off(product(x), conv.double()(x.double())) <= TOLERANCE


def test_with_nothing_to_take_along_only_one_image_is_a_product() -> None:
    """For several it gains nothing over oneDNN's convolution."""
    folded = FoldedConv(nn.Conv2d(16, 64, 1), None, kinds=KINDS)
    for batch, expected in ((1, 1), (2, 0)):
        assert calls(folded, drawn(batch, 16, 9, 9))["se_models.pointwise.default"] == expected


def test_unless_asked_for_none_is_a_product() -> None:
    """`fold` folds, and does nothing else."""
    assert not FoldedConv(nn.Conv2d(16, 64, 1), None).takes_along(drawn(1, 16, 9, 9))


def test_there_is_a_kernel() -> None:
    """Or all models would run without it in silence."""
    assert can_take_along(torch.zeros(1, 1, 1, 1))


def test_without_a_kernel_none_is_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other CPUs, or with a torch that does not offer its products."""
    monkeypatch.setattr(ours, "_has_kernel", lambda: False)
    assert not FoldedConv(nn.Conv2d(16, 64, 1), None, kinds=KINDS).takes_along(drawn(1, 16, 9, 9))
