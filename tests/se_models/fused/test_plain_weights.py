"""A twin that keeps no state holds each convolution's weights in one layout, and loses none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from se_models import SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.folding import FoldedConv
from se_models.fused.latest import KINDS
from se_models.fused.packed import can_pack
from se_models.fused.pointwise import can_take_along
from tests.se_models.fused.agreement import off
from tests.se_models.fused.threads import at_once

CONVOLUTIONS = [
    nn.Conv2d(16, 24, 3, stride=2, padding=1, groups=4),
    nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
    nn.Conv2d(16, 128, 1),
    nn.Conv2d(16, 40, 1, stride=2),
]
COPIES: list[Callable[[Any], Any]] = [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]

pytestmark = pytest.mark.skipif(
    not can_pack(torch.zeros(1, 1, 1, 1)), reason="this torch has no packed convolutions"
)
frugal = partial(FoldedConv, kinds=KINDS, keeps_plain=False)


def drawn(conv: nn.Conv2d, batch: int, size: int = 9) -> Tensor:
    return torch.randn(batch, conv.in_channels, size, size)


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_plain_weights_are_made_again_to_the_last_bit(conv: nn.Conv2d, batch: int) -> None:
    """From whatever layout there is, and by copies, which have them from the start."""
    folded = frugal(conv, None)
    folded(drawn(conv, batch))
    assert folded.weight is None
    assert torch.equal(folded.plain_weight(), conv.weight)
    for again in COPIES:
        assert torch.equal(again(folded).weight, conv.weight)


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
@torch.no_grad()
def test_other_inputs_are_convolved_as_ever(conv: nn.Conv2d) -> None:
    """More kinds than are kept, each laid out from what another's weights tell."""
    folded, generous = frugal(conv, None), FoldedConv(conv, None, kinds=KINDS)
    for batch, size in ((1, 9), (3, 9), (2, 12), (1, 15), (3, 9)):
        x = drawn(conv, batch, size)
        assert torch.equal(folded(x), generous(x))
        assert folded.weight is None


@torch.no_grad()
def test_they_are_kept_where_nothing_is_laid_out() -> None:
    """In a dtype that is not packed; and where that is asked for."""
    conv = CONVOLUTIONS[0]
    for folded, x in (
        (frugal(copy.deepcopy(conv).bfloat16(), None), drawn(conv, 2).bfloat16()),
        (FoldedConv(conv, None, kinds=KINDS), drawn(conv, 2)),
    ):
        folded(x)
        assert folded.weight is not None


def test_threads_that_come_at_once_lose_none() -> None:
    """Each of a size of its own, so that all lay out, and let go, at one time."""
    conv = CONVOLUTIONS[0]
    folded, generous = frugal(conv, None), FoldedConv(conv, None, kinds=KINDS)
    images = [drawn(conv, 1, 5 + more) for more in range(8)]
    with torch.no_grad():
        expected = [generous(x) for x in images]

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():  # a thread's own
            return folded(x)

    for y, same in zip(at_once(run, images), expected, strict=True):
        assert torch.equal(y, same)
    assert torch.equal(folded.plain_weight(), conv.weight)


@pytest.mark.parametrize("placement", ["none", "standard", "post"])
@torch.no_grad()
def test_a_twin_without_state_holds_them_in_one_layout(placement: Any, trunk: Any) -> None:
    """And computes what one with its state does, for one image, several, and by copies of it."""
    model = with_se(trunk, SEConfig(placement)).eval()
    frugal_twin, twin = fuse(model, keep_state=False), fuse(model)
    one, several = torch.randn(1, 3, 64, 64), torch.randn(3, 3, 64, 64)
    for images in (one, several, one):
        assert torch.equal(frugal_twin(images), twin(images))
    plain = [part.weight for part in frugal_twin.modules() if isinstance(part, FoldedConv)]
    assert plain
    assert all(weight is None for weight in plain)
    for again in COPIES:
        assert torch.equal(again(frugal_twin)(several), twin(several))
    assert off(frugal_twin, copy.deepcopy(model).double(), torch.randn(2, 3, 96, 96)) < 1e-5


@pytest.mark.filterwarnings("ignore")  # of torch.jit there are many
@torch.no_grad()
def test_who_has_run_is_not_traced(trunk: Any) -> None:
    """A layout of oneDNN's is no compiler's: the error says what to do instead, and that works."""
    model = with_se(trunk, SEConfig()).eval()
    twin, images = fuse(model, keep_state=False), torch.randn(2, 3, 64, 64)
    expected = twin(images)
    with pytest.raises(RuntimeError, match="compile or export one that has not run"):
        torch.export.export(twin, (images,))
    with pytest.raises(RuntimeError, match="compile or export one that has not run"):
        torch.compile(twin, fullgraph=True, backend="eager")(images)
    with pytest.raises(RuntimeError, match="compile or export one that has not run"):
        torch.jit.trace(twin, images, check_trace=False)
    for fresh in (fuse(model, keep_state=False), fuse(model), copy.deepcopy(twin)):
        exported = torch.export.export(fresh, (images,)).module()
        torch.testing.assert_close(exported(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(
    not can_take_along(torch.zeros(1)), reason="this CPU or torch has no products of matrices"
)
@torch.no_grad()
def test_a_product_tells_them_as_well() -> None:
    """Where it is one, its layout is the only one for one image."""
    conv = CONVOLUTIONS[2]
    folded = frugal(conv, None)
    x = drawn(conv, 1)
    y = folded.scaled(x, torch.ones(1, conv.in_channels))
    assert not folded._packed
    assert torch.equal(folded.plain_weight(), conv.weight)
    torch.testing.assert_close(y, conv(x), rtol=1e-5, atol=1e-5)
