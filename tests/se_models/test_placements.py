"""Every placement against its formula, written out from a block's own submodules."""

import copy
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.blocks import SEBlock, with_se_block

SE_PLACEMENTS = tuple(placement for placement in PLACEMENTS if placement != "none")
Formula = Callable[[str, Any, Tensor], Any]


def basic_formula(placement: str, block: Any, x: Tensor) -> Any:
    """The output of a block of two convolutions, as the placement table has it."""

    def branch(x: Tensor) -> Any:
        first = torch.relu(block.bn1(block.conv1(x)))
        if placement == "inner":
            return block.bn2(block.conv2(block.se(first)))
        if placement == "prenorm":
            return block.bn2(block.se(block.conv2(first)))
        return block.bn2(block.conv2(first))

    return joined(placement, block, branch, x)


def bottleneck_formula(placement: str, block: Any, x: Tensor) -> Any:
    """The output of a block of three convolutions, as the placement table has it."""

    def branch(x: Tensor) -> Any:
        first = torch.relu(block.bn1(block.conv1(x)))
        second = torch.relu(block.bn2(block.conv2(first)))
        if placement == "inner":
            return block.bn3(block.conv3(block.se(second)))
        if placement == "prenorm":
            return block.bn3(block.se(block.conv3(second)))
        return block.bn3(block.conv3(second))

    return joined(placement, block, branch, x)


def joined(placement: str, block: Any, branch: Any, x: Tensor) -> Any:
    shortcut = nn.Identity() if block.downsample is None else block.downsample
    outputs: dict[str, Callable[[], Any]] = {
        "standard": lambda: torch.relu(block.se(branch(x)) + shortcut(x)),
        "pre": lambda: torch.relu(branch(block.se(x)) + shortcut(x)),
        "post": lambda: block.se(torch.relu(branch(x) + shortcut(x))),
        "identity": lambda: torch.relu(branch(x) + shortcut(block.se(x))),
    }
    return outputs.get(placement, lambda: torch.relu(branch(x) + shortcut(x)))()


def network_formula(placement: str, model: Any, formula: Formula, x: Tensor) -> Any:
    """The output of a whole network whose every block follows ``formula``."""
    x = model.maxpool(torch.relu(model.bn1(model.conv1(x))))
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            x = formula(placement, block, x)
    return model.fc(x.mean(dim=(2, 3)))


def projection(inplanes: int, planes: int) -> nn.Sequential:
    convolution = nn.Conv2d(inplanes, planes, 1, stride=2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(planes))


BLOCKS: dict[str, tuple[Formula, Callable[[], Any]]] = {
    "basic": (basic_formula, lambda: BasicBlock(8, 8)),
    "basic-down": (basic_formula, lambda: BasicBlock(8, 16, 2, projection(8, 16))),
    "bottleneck": (bottleneck_formula, lambda: Bottleneck(16, 4)),
    "bottleneck-down": (bottleneck_formula, lambda: Bottleneck(8, 4, 2, projection(8, 16))),
    "bottleneck-grouped": (bottleneck_formula, lambda: Bottleneck(16, 4, groups=2)),
    "bottleneck-wide": (bottleneck_formula, lambda: Bottleneck(16, 4, base_width=128)),
}


def lively(block: nn.Module) -> nn.Module:
    """The block in float64, its BatchNorms far from the identity they start as."""
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return block.double()


@pytest.mark.parametrize("placement", SE_PLACEMENTS)
@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_block_formula(placement: Any, kind: str, training: bool) -> None:
    """A block's output and gradients are its formula's, and its input stays as it was."""
    formula, build = BLOCKS[kind]
    block = with_se_block(lively(build()), SEConfig(placement, 2)).train(training)
    nn.init.uniform_(block.se.fc1.bias, 1, 2)  # no unit of the bottleneck is dead
    twin = copy.deepcopy(block)
    channels = block.conv1.in_channels
    x = torch.randn(3, channels, 6, 6, dtype=torch.float64) + torch.randn(3, channels, 1, 1)
    before = x.clone()
    y, expected = block(x), formula(placement, twin, x)
    torch.testing.assert_close(y, expected)
    assert torch.equal(x, before)
    y.square().sum().backward()
    expected.square().sum().backward()
    for (name, p), q in zip(block.named_parameters(), twin.parameters(), strict=True):
        assert p.grad is not None, name
        torch.testing.assert_close(p.grad, q.grad)
    assert all(bool(p.grad.any()) for p in block.se.parameters() if p.grad is not None)


@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_resnet18_formula(placement: Any, trunk: models.ResNet, images: Tensor) -> None:
    """A whole SE-ResNet-18 computes what its formula says."""
    model = with_se(trunk, SEConfig(placement, 4))
    expected = network_formula(placement, model, basic_formula, images)
    torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize(
    "placement",
    # The placements inside F are the Bottleneck's own; the others it has from the same code.
    [
        placement
        if placement in ("standard", "inner", "prenorm")
        else pytest.param(placement, marks=pytest.mark.slow)
        for placement in PLACEMENTS
    ],
)
@torch.no_grad()
def test_resnet50_formula(placement: Any, deep_trunk: models.ResNet, images: Tensor) -> None:
    """A whole SE-ResNet-50 computes what its formula says."""
    model = with_se(deep_trunk, SEConfig(placement, 4))
    expected = network_formula(placement, model, bottleneck_formula, images)
    torch.testing.assert_close(model(images), expected)


def assert_one_graph(model: nn.Module, images: Tensor) -> None:
    torch.compiler.reset()
    compiled: Any = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), model(images))


@torch.no_grad()
def test_compiles_without_graph_break(trunk: models.ResNet, images: Tensor) -> None:
    """torch.compile takes a ResNet-18 with every placement in some block as one graph."""
    model = copy.deepcopy(trunk)
    places = [(stage, index) for stage in range(1, 5) for index in range(2)]
    for (stage, index), placement in zip(places, cycle(SE_PLACEMENTS), strict=False):
        blocks = model.get_submodule(f"layer{stage}")
        blocks[index] = with_se_block(blocks[index], SEConfig(placement))
    assert_one_graph(model, images)


@pytest.mark.slow
@pytest.mark.parametrize("placement", SE_PLACEMENTS)
@torch.no_grad()
def test_resnet18_compiles(placement: Any, trunk: models.ResNet, images: Tensor) -> None:
    """torch.compile takes a whole SE-ResNet-18 of each placement as one graph."""
    assert_one_graph(with_se(trunk, SEConfig(placement)), images)


BASIC_IN = ([64, 64], [64, 128], [128, 256], [256, 512])
BASIC_OUT = ([64, 64], [128, 128], [256, 256], [512, 512])
DEEP_IN = (
    [64, 256, 256],
    [256, 512, 512, 512],
    [512, 1024, 1024, 1024, 1024, 1024],
    [1024, 2048, 2048],
)
DEEP_OUT = ([256] * 3, [512] * 4, [1024] * 6, [2048] * 3)
NARROW = ([64] * 3, [128] * 4, [256] * 6, [512] * 3)
WIDE = ([128] * 3, [256] * 4, [512] * 6, [1024] * 3)


@pytest.mark.parametrize(
    ("architecture", "entering", "inside", "leaving"),
    [
        ("resnet18", BASIC_IN, BASIC_OUT, BASIC_OUT),
        ("resnet50", DEEP_IN, NARROW, DEEP_OUT),
        ("resnext50_32x4d", DEEP_IN, WIDE, DEEP_OUT),
        ("wide_resnet50_2", DEEP_IN, WIDE, DEEP_OUT),
    ],
)
@pytest.mark.parametrize("placement", SE_PLACEMENTS)
def test_se_channels(
    placement: Any, architecture: str, entering: Any, inside: Any, leaving: Any
) -> None:
    """SE is as wide as what it weighs: the block's input, the 3x3 convolution's output, or F's."""
    with torch.device("meta"):
        model = with_se(models.get_model(architecture), SEConfig(placement))
    by_placement = {"pre": entering, "identity": entering, "inner": inside}
    widths = tuple(
        [block.se.fc1.in_features for block in stage]
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4)
    )
    assert widths == by_placement.get(placement, leaving)


def test_blocks_only_of_plain_ones() -> None:
    """A module that is no plain block of torchvision's is a ValueError that names its type."""
    with pytest.raises(ValueError, match=r"BasicBlock or Bottleneck, got a Conv2d$"):
        with_se_block(nn.Conv2d(3, 3, 1), SEConfig())
    taken: SEBlock = with_se_block(BasicBlock(8, 8), SEConfig())
    with pytest.raises(ValueError, match=r"BasicBlock or Bottleneck, got a SEBasicBlock$"):
        with_se_block(taken, SEConfig())
