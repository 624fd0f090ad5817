"""Packed convolutions compute what others do, and are packed for few shapes."""

from __future__ import annotations

import copy
import pickle
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from se_models.fused import fuse, packed, replay
from se_models.fused.folding import FoldedConv
from se_models.fused.latest import KINDS
from se_models.fused.packed import PackedConvolution, can_pack
from tests.se_models.fused.agreement import calls
from tests.se_models.fused.threads import at_once

LAYOUTS = [torch.contiguous_format, torch.channels_last]
CONVOLUTIONS = [
    nn.Conv2d(16, 24, 1),
    nn.Conv2d(16, 24, 1, stride=2, bias=False),
    nn.Conv2d(16, 24, 3, padding=1),
    nn.Conv2d(16, 24, 3, stride=2, padding=1, groups=4, bias=False),
    nn.Conv2d(16, 24, 3, padding=2, dilation=2),
    nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
]
REORDER = "mkldnn._reorder_convolution_weight.default"
CONVOLVE = "mkldnn._convolution_pointwise.default"

needs_onednn = pytest.mark.skipif(
    not can_pack(torch.zeros(1, 1, 1, 1)), reason="this torch has no packed convolutions"
)


@needs_onednn
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
def test_it_is_the_convolution(conv: nn.Conv2d, layout: Any, relu: bool) -> None:
    """Of any geometry, batch and layout, rectified or not; it comes as channels_last."""
    folded = FoldedConv(conv, None, kinds=KINDS)
    for batch in (1, 3):
        x = torch.randn(batch, conv.in_channels, 15, 13).contiguous(memory_format=layout)
        with torch.no_grad():
            exact = copy.deepcopy(conv).double()(x.double())
            exact = exact.relu() if relu else exact
            y = folded(x, relu=relu)
        assert float((y.double() - exact).abs().max() / exact.abs().max()) < 1e-6
        assert y.is_contiguous(memory_format=torch.channels_last)


@needs_onednn
def test_a_shape_is_packed_for_once() -> None:
    """And those for the few that were used last are kept."""
    conv = CONVOLUTIONS[2]
    one = PackedConvolution(None, (1, 1), (1, 1), (1, 1), 1)
    *shapes, another = [torch.randn(1, 16, 5 + more, 5) for more in range(KINDS + 1)]

    def packs(x: torch.Tensor) -> bool:
        return calls(lambda given: one(given, conv.weight.detach, relu=False), x)[REORDER] == 1

    assert [packs(x) for x in shapes] == [True] * KINDS
    assert [packs(x) for x in (shapes[0], another)] == [False, True]
    assert [packs(x) for x in (shapes[0], another, shapes[1])] == [False, False, True]


@needs_onednn
@pytest.mark.parametrize("kinds", [1, 3])
@torch.no_grad()
def test_a_twin_keeps_as_many_as_it_is_asked_for(kinds: int, trunk: Any) -> None:
    """Of each convolution that packs, whatever else it keeps."""
    twin = fuse(trunk, kinds=kinds)
    for size in (32, 64, 96, 128):  # whose maps differ to the last stage
        twin(torch.randn(1, 3, size, size))
    convolutions = [part for part in twin.modules() if isinstance(part, FoldedConv)]
    packed = [each for part in convolutions for each in part._packed.values()]
    assert {len(each._kept) for each in packed} == {kinds}


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The shapes for which weights are packed from here on, each slowly."""
    shapes: list[list[int]] = []

    def slow(*given: Any) -> torch.Tensor:
        shapes.append(given[-1])
        time.sleep(0.05)  # the other threads come meanwhile
        packed: torch.Tensor = torch.ops.mkldnn._reorder_convolution_weight(*given)
        return packed

    operators = SimpleNamespace(
        _reorder_convolution_weight=slow,
        _convolution_pointwise=torch.ops.mkldnn._convolution_pointwise,
    )
    monkeypatch.setattr(packed, "_mkldnn", operators)
    return shapes


def convolved_at_once(folded: FoldedConv, images: list[torch.Tensor]) -> None:
    """By a thread each; what comes of it is the convolution."""
    with torch.no_grad():
        exact = [F.conv2d(x, folded.plain_weight(), folded.bias, padding=1) for x in images]

    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():  # a thread's own
            return folded(x)

    for y, expected in zip(at_once(run, images), exact, strict=True):
        torch.testing.assert_close(y, expected)


@needs_onednn
def test_threads_that_come_at_once_pack_once(packs: list[list[int]]) -> None:
    """For the shape that they share."""
    convolved_at_once(
        FoldedConv(CONVOLUTIONS[2], None, kinds=KINDS), [torch.randn(1, 16, 5, 5) for _ in range(4)]
    )
    assert len(packs) == 1


@needs_onednn
def test_threads_of_several_shapes_keep_no_more(packs: list[list[int]]) -> None:
    """Than one does, and none loses what it uses when another's takes its place."""
    folded = FoldedConv(CONVOLUTIONS[2], None, kinds=KINDS)
    convolved_at_once(folded, [torch.randn(1, 16, 5 + more, 5) for more in range(2 * KINDS)])
    assert len(packs) == 2 * KINDS
    assert [len(each._kept) for each in folded._packed.values()] == [KINDS]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda conv: pickle.loads(pickle.dumps(conv))])
def test_a_copy_packs_for_itself(again: Any) -> None:
    """What was packed is left behind."""
    folded = FoldedConv(CONVOLUTIONS[2], None, kinds=KINDS)
    x = torch.randn(1, 16, 5, 5)
    with torch.no_grad():
        expected = folded(x)
        assert torch.equal(again(folded)(x), expected)


@pytest.mark.parametrize(
    "x",
    [torch.zeros(1, 16, 5, 5).double(), torch.zeros(1, 16, 5, 5).bfloat16(),
     torch.zeros(1, 16, 5, 5, device="meta"), nn.Parameter(torch.zeros(1, 16, 5, 5))],
    ids=["float64", "bfloat16", "meta", "parameter"],
)  # fmt: skip
def test_what_cannot_be_packed_for_runs_as_it_is(x: torch.Tensor) -> None:
    """Other dtypes and devices, and tensors of classes of their own, such as fake ones."""
    assert not can_pack(x)
    conv = copy.deepcopy(CONVOLUTIONS[2]).to(x.device, x.dtype)
    names = calls(FoldedConv(conv, None, kinds=KINDS), x)
    assert names["aten.convolution.default"] == 1


def test_nothing_is_packed_while_onednn_is_off(trunk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what was noted with it called again."""
    twin, x = fuse(trunk), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = twin(x)
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
        assert not can_pack(x)
        assert not replay._can_replay(x)
        torch.testing.assert_close(twin(x), expected, rtol=1e-4, atol=1e-5)


def test_without_the_operators_it_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a torch that has none, or has named them anew."""
    monkeypatch.setattr(packed, "_HAS_OPERATORS", False)
    x = torch.zeros(1, 16, 5, 5)
    assert calls(FoldedConv(CONVOLUTIONS[2], None, kinds=KINDS), x)[CONVOLVE] == 0
    assert not can_pack(x)


def test_unless_asked_for_nothing_is_packed() -> None:
    """`fold` folds, and does nothing else."""
    names = calls(FoldedConv(CONVOLUTIONS[2], None), torch.zeros(1, 16, 5, 5))
    assert names["aten.convolution.default"] == 1


def test_packed_weights_are_not_gated() -> None:
    """Gates differ at every call, and packing anew costs more than a pass over the map."""
    conv = nn.Conv2d(16, 25, 1)
    x = torch.zeros(1, 16, 80, 1)
    assert FoldedConv(conv, None).gates_weights(x)
    assert not FoldedConv(conv, None, kinds=KINDS).gates_weights(x)


@needs_onednn
@pytest.mark.parametrize(
    ("conv", "layout"),
    [
        (nn.Conv2d(16, 24, 1, groups=2), torch.channels_last),
        (nn.Conv2d(16, 24, 3, padding=1), torch.channels_last),
        (nn.Conv2d(16, 24, 3, padding=1), torch.contiguous_format),
        (nn.Conv2d(16, 24, 3, stride=2, padding=1), torch.channels_last),
    ],
    ids=["grouped", "3x3", "contiguous", "strided"],
)
def test_images_take_their_gates_themselves(conv: nn.Conv2d, layout: Any) -> None:
    """And the packed convolution of what comes of it."""
    folded = FoldedConv(conv, None, kinds=KINDS)
    x, gate = torch.randn(1, 16, 25, 25).contiguous(memory_format=layout), torch.rand(1, 16)
    with torch.no_grad():
        exact = conv(x * gate[:, :, None, None])
        y = folded.scaled(x, gate)
        called = calls(lambda images: folded.scaled(images, gate), x)
    assert float((y - exact).abs().max() / exact.abs().max()) < 1e-5
    assert called["se_models.scale.default"] == called[CONVOLVE] == 1
