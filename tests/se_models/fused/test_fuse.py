"""fuse(model) computes what the model does, in fewer passes, and nothing else changes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
import torch

import se_models
from se_models import ARCHITECTURES, PLACEMENTS, SEConfig, with_se
from se_models.blocks import with_se_block
from se_models.fused import fuse
from se_models.fused.pointwise import can_take_along
from tests.se_models.fused.agreement import calls, off
from tests.se_models.fused.trained import as_if_trained

LAYOUTS = [torch.contiguous_format, torch.channels_last]
TAKES_ALONG = can_take_along(torch.zeros(1, 1, 1, 1))
# What multiplies a projection's input by its gate.
SCALED = "pointwise" if TAKES_ALONG else "scale"
SE_PLACEMENTS = [placement for placement in PLACEMENTS if placement != "none"]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_output_is_the_models(
    deep: bool, batch: int, placement: Any, layout: Any, trunk: Any, deep_trunk: Any
) -> None:
    """In float32 to 1e-5 of float64, for both kinds of block, either layout, one image or more.

    Images need not be square.
    """
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    images = torch.randn(batch, 3, 64, 64 if batch == 1 else 45)
    exact = copy.deepcopy(model).double()
    fused = fuse(model.to(memory_format=layout))
    assert off(fused, exact, images.contiguous(memory_format=layout)) < 1e-5


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_output_is_the_models_where_nothing_is_packed(
    deep: bool, placement: Any, trunk: Any, deep_trunk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1e-5 in float32 and 1e-12 in float64, of one image, whose gates go into some weights."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    exact = copy.deepcopy(model).double()
    images = torch.randn(1, 3, 112, 112)  # of fewer pixels few weights are fewer
    with torch.no_grad():
        expected = exact(images.double())
    for twin, given, limit in ((fuse(model), images, 1e-5), (fuse(exact), images.double(), 1e-12)):
        assert off(twin, lambda _images: expected, given) < limit


def test_placements_may_differ_from_block_to_block(deep_trunk: Any) -> None:
    """A gate that is handed on meets that of the block which takes it."""
    placements: cycle[Any] = cycle(("post", "pre", "post", "identity"))
    model = copy.deepcopy(deep_trunk)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for place, plain in enumerate(stage):
            stage[place] = with_se_block(plain, SEConfig(next(placements)))
    images = torch.randn(2, 3, 64, 64)
    as_if_trained(model, images)
    for batch in (images, images[:1]):
        assert off(fuse(model), copy.deepcopy(model).double(), batch) < 1e-5


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_half_precision_is_as_close_as_the_models(
    deep: bool, placement: Any, trunk: Any, deep_trunk: Any
) -> None:
    """The fused twin is no farther from float64 than twice what the model is, or some roundings."""
    exact = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval().double()
    images = torch.randn(2, 3, 64, 64).bfloat16()
    with torch.no_grad():
        expected = exact(images.double())
    for dtype in (torch.bfloat16, torch.float16):
        model, given = copy.deepcopy(exact).to(dtype), images.to(dtype)
        eager, fused = (off(each, lambda _: expected, given) for each in (model, fuse(model)))
        assert fused < max(2 * eager, 2.5 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_of_no_images_there_is_no_output(
    deep: bool, placement: Any, trunk: Any, deep_trunk: Any
) -> None:
    """As of the model: an empty batch is no error, be its calls made once or again."""
    twin = fuse(with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval())
    with torch.no_grad():
        for _ in range(2):
            assert twin(torch.empty(0, 3, 64, 64)).shape == (0, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "placement"),
    [
        *zip(ARCHITECTURES, cycle(PLACEMENTS), strict=False),
        *(("resnext50_32x4d", placement) for placement in PLACEMENTS),
    ],
)
def test_every_architecture_fuses(architecture: Any, placement: Any) -> None:
    """To within 1e-5 of float64, on the images that its statistics are those of.

    Each in one placement, but the one with groups in all: what a placement does depends on
    the kind of block and of its convolutions alone.
    """
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 64)
    model = getattr(se_models, architecture)(se=SEConfig(placement), num_classes=10)
    as_if_trained(model, images)
    exact = copy.deepcopy(model).double()
    assert off(fuse(model), exact, images) < 1e-5


@pytest.mark.parametrize(
    "config",
    [
        SEConfig("pre", stages=(1,)),
        SEConfig("identity", stages=(3, 4)),
        SEConfig("post", stages=(4,), blocks="last"),
        SEConfig("prenorm", 8, stages=(3,), blocks="last"),
        SEConfig("inner", 4, bias=False, min_hidden=32),
    ],
    ids=lambda config: config.label,
)
def test_se_in_some_blocks_fuses(config: SEConfig, trunk: Any) -> None:
    """Plain blocks tell the means that the next one wants, and no others do."""
    model = with_se(trunk, config).eval()
    assert off(fuse(model), copy.deepcopy(model).double(), torch.randn(2, 3, 64, 64)) < 1e-5


def later_calls(model: Any, images: torch.Tensor) -> Counter[str]:
    """What it calls once its weights are laid out."""
    calls(model, images)
    return calls(model, images)


def fused_of(names: Counter[str]) -> dict[str, int]:
    """How often each of the fused operators is called."""
    return {
        name.removeprefix("se_models.").removesuffix(".default"): count
        for name, count in names.items()
        if name.startswith("se_models.")
    }


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        # 8 blocks, of which the last also tells what the pooling would take.
        ("none", {"tail_": 7, "tail_squeeze_": 1}),
        ("standard", {"squeeze_excite_tail_": 7, "squeeze_excite": 1, "tail_squeeze_": 1}),
        ("prenorm", {"squeeze_excite_tail_": 7, "squeeze_excite": 1, "tail_squeeze_": 1}),
        # The last map is looked at by none, but for its means.
        ("post", {"excite": 8, "tail_": 7, "tail_squeeze_": 8}),
        # Every tail tells the means that the next block wants, and so does the stem's.
        ("pre", {"excite_scale": 8, "tail_squeeze_": 9}),
        ("identity", {"excite": 8, "tail_squeeze_": 9, SCALED: 3}),
        ("inner", {"squeeze_excite_tail_": 8, "tail_": 7, "tail_squeeze_": 1}),
    ],
)
def test_a_block_is_few_passes(placement: Any, expected: dict[str, int], trunk: Any) -> None:
    """No BatchNorm, no sum, no product, no pooling is left over; for two images."""
    names = later_calls(fuse(with_se(trunk, SEConfig(placement)).eval()), torch.randn(2, 3, 64, 64))
    assert fused_of(names) == expected
    left = {name for name in names if not name.startswith("se_models.")}
    assert left <= {
        "mkldnn._convolution_pointwise.default", "aten.max_pool2d_with_indices.default",
        "aten.addmm.default", "aten.t.default", "aten.mul.Tensor", "aten.detach.default",
        "aten.max_pool2d.default", "aten.relu_.default",
    }  # fmt: skip
    # The ReLU is the stem's, behind the pooling: who wants means has them taken along.
    assert names["aten.relu_.default"] == (0 if placement in ("pre", "identity") else 1)
    # The product is of means and gates: what `post` hands on.
    assert names["aten.mul.Tensor"] == (1 if placement == "post" else 0)


@pytest.mark.parametrize("placement", ["standard", "prenorm"])
@pytest.mark.parametrize("packs", [True, False])
def test_means_are_taken_ahead_of_a_pointwise_convolution(
    packs: bool, placement: Any, deep_trunk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a map a quarter as large; where it is rectified in a pass of its own, in that."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: packs)
    model = fuse(with_se(deep_trunk, SEConfig(placement)).eval())
    images = torch.randn(1, 3, 64, 64)
    names = calls(model, images)
    assert names["se_models.squeeze_excite.default"] == (16 if packs else 0)
    last = 0 if TAKES_ALONG else 1
    assert names["se_models.tail_squeeze_.default"] == (last if packs else 17)
    inputs = [len(model.get_buffer(f"blocks.{n}.excitation.weight1").T) for n in range(16)]
    assert inputs == [64] * 3 + [128] * 4 + [256] * 6 + [512] * 3


@pytest.mark.skipif(not TAKES_ALONG, reason="this CPU or torch has no products of matrices")
@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        # 16 blocks, of which the last also tells what the pooling would take, and 4 projections.
        ("none", {"pointwise": 15, "pointwise_squeeze": 1}),
        ("standard", {"squeeze_excite": 16, "pointwise": 15, "pointwise_squeeze": 1}),
        ("prenorm", {"squeeze_excite": 16, "pointwise": 15, "pointwise_squeeze": 1}),
        # Gates are multiplied into the convolutions of the block behind: 15 and 3 projections.
        ("post", {"pointwise": 18, "pointwise_squeeze_excite": 16}),
        ("pre", {"tail_squeeze_": 1, "excite": 16, "pointwise": 16, "pointwise_squeeze": 16}),
        ("identity", {"tail_squeeze_": 1, "excite": 16, "pointwise": 4, "pointwise_squeeze": 16}),
        ("inner", {"squeeze_excite": 16, "pointwise": 15, "pointwise_squeeze": 1}),
    ],
)
def test_a_bottleneck_is_no_pass(placement: Any, expected: dict[str, int], deep_trunk: Any) -> None:
    """But for means of what is a quarter as large: its 1x1 convolutions take all else along."""
    model = fuse(with_se(deep_trunk, SEConfig(placement)).eval())
    assert fused_of(later_calls(model, torch.randn(2, 3, 64, 64))) == expected


def test_gates_go_where_fewest_values_are(deep_trunk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing takes them along: of one image into the weights of narrow convolutions."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = fuse(with_se(deep_trunk, SEConfig("pre")).eval())
    one = calls(model, torch.randn(1, 3, 224, 224))
    two = calls(model, torch.randn(2, 3, 224, 224))
    assert two["se_models.scale.default"] == 16
    assert two["aten.mul.Tensor"] == 0
    assert one["se_models.scale.default"] + one["aten.mul.Tensor"] == 16
    assert one["aten.mul.Tensor"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_it_exports(deep: bool, placement: Any, trunk: Any, deep_trunk: Any) -> None:
    """torch.export keeps the operators, for any number of images."""
    fused = fuse(with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval())
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        exported = torch.export.export(
            fused, (torch.randn(2, 3, 64, 64),), dynamic_shapes=({0: batch},)
        )
        images = torch.randn(5, 3, 64, 64)
        assert torch.allclose(exported.module()(images), fused(images), rtol=1e-4, atol=1e-5)
        assert torch.allclose(
            exported.module()(images[:1]), fused(images[:1]), rtol=1e-4, atol=1e-5
        )
    assert "se_models.tail_squeeze_" in exported.graph_module.code


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["identity", "inner"])
def test_it_exports_for_images_of_any_size(placement: Any, deep_trunk: Any) -> None:
    """Where a gate goes, which is decided by sizes, becomes no rule for them."""
    model = with_se(deep_trunk, SEConfig(placement)).eval()
    sizes = {place: torch.export.Dim(name, min=33, max=512) for place, name in ((2, "H"), (3, "W"))}
    images = torch.randn(1, 3, 97, 64)
    with torch.no_grad():
        exported = torch.export.export(
            fuse(model), (torch.randn(1, 3, 64, 64),), dynamic_shapes=(sizes,)
        )
        assert off(exported.module(), copy.deepcopy(model).double(), images) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("placement", SE_PLACEMENTS)
def test_it_compiles(deep: bool, placement: Any, trunk: Any, deep_trunk: Any) -> None:
    """torch.compile takes the whole twin as one graph."""
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    torch.compiler.reset()  # or it takes all these twins for one, compiled too often
    compiled = torch.compile(fuse(model), fullgraph=True)
    exact = copy.deepcopy(model).double()
    assert off(compiled, exact, torch.randn(2, 3, 64, 64)) < 1e-5


@torch.no_grad()
def test_a_compiler_is_given_channels_last(trunk: Any) -> None:
    """Whatever the images are: operators are called in the layout that was traced."""
    traced: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _given: object) -> Callable[..., Any]:
        traced.append(graph)
        return graph.forward

    torch.compiler.reset()
    twin = fuse(with_se(trunk, SEConfig()).eval())
    torch.compile(twin, fullgraph=True, backend=backend)(torch.randn(1, 3, 64, 64))
    (graph,) = traced
    maps = [
        argument.meta["example_value"]
        for node in graph.graph.nodes if str(node.target).startswith("se_models.")
        for argument in node.all_input_nodes
    ]  # fmt: skip
    maps = [each for each in maps if each.dim() == 4]
    assert maps
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in maps)
