"""The constructors build what torchvision's build, and put SE in after the weights."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import models
from torchvision.models import ResNet18_Weights

import se_models
from se_models import PLACEMENTS, SEConfig, resnet18, resnet50
from se_models.config import ARCHITECTURES, BLOCKS, Architecture
from se_models.resnet import se_modules

QUICK = ("resnet18", "resnet50")
BUILT = [
    pytest.param(name, None, marks=[] if name in QUICK else [pytest.mark.slow])
    for name in ARCHITECTURES
]


def build(architecture: str, **settings: Any) -> Any:
    return getattr(se_models, architecture)(**settings)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tensor]]:
    """Random trunk weights, cached where torch.hub expects ResNet-18's pretrained ones."""
    home = tmp_path_factory.mktemp("torch")
    weights: dict[str, Tensor] = models.resnet18().state_dict()
    for tensor in weights.values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    folder = home / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights, folder / ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "_hub_dir", str(home))
        yield weights


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_trunk_and_se(architecture: Architecture) -> None:
    """Each constructor puts SE into every block of torchvision's trunk of its own name."""
    with torch.device("meta"):
        ours, theirs = build(architecture, se=SEConfig("inner")), models.get_model(architecture)
    state = ours.state_dict()
    trunk = [(name, value.shape) for name, value in state.items() if ".se." not in name]
    assert trunk == [(name, value.shape) for name, value in theirs.state_dict().items()]
    stages = [ours.get_submodule(f"layer{stage}") for stage in (1, 2, 3, 4)]
    assert tuple(map(len, stages)) == BLOCKS[architecture]
    blocks = [block for stage in stages for block in stage]
    assert [block.placement for block in blocks] == ["inner"] * len(blocks)


@pytest.mark.parametrize(
    ("architecture", "se"),
    [*BUILT, ("resnet18", SEConfig("none"))],
    ids=str,
)
@torch.no_grad()
def test_plain_models_are_torchvisions(
    architecture: str, se: SEConfig | None, images: Tensor
) -> None:
    """Without SE, values and outputs under one seed are torchvision's, bit for bit."""
    torch.manual_seed(7)
    ours = build(architecture, se=se, num_classes=10).eval()
    torch.manual_seed(7)
    theirs = models.get_model(architecture, num_classes=10).eval()
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    assert all(torch.equal(state[name], value) for name, value in ours.state_dict().items())
    assert torch.equal(ours(images), theirs(images))


def test_pretrained_is_taken_as_torchvision_takes_it() -> None:
    """The deprecated argument works, and says that it is deprecated."""
    with pytest.warns(UserWarning, match="deprecated since 0.13"):
        model = resnet18(pretrained=False, se=SEConfig())
    assert model.layer1[0].placement == "standard"


def test_trunk_is_drawn_before_se() -> None:
    """Under one seed a model's trunk has the same values with SE as without."""
    torch.manual_seed(7)
    plain = resnet18().state_dict()
    torch.manual_seed(7)
    with_se = resnet18(se=SEConfig("prenorm")).state_dict()
    assert all(torch.equal(with_se[name], value) for name, value in plain.items())


@pytest.mark.parametrize(
    ("placement", "weights"),
    [
        *((placement, "IMAGENET1K_V1") for placement in PLACEMENTS),
        ("standard", ResNet18_Weights.DEFAULT),
    ],
    ids=str,
)
def test_weights_load_into_the_trunk(
    placement: Any, weights: Any, checkpoint: dict[str, Tensor]
) -> None:
    """Weights by name or enum load into the trunk whatever the placement, and SE starts fresh."""
    model = resnet18(weights=weights, progress=False, se=SEConfig(placement)).state_dict()
    assert all(torch.equal(model[name], value) for name, value in checkpoint.items())
    fresh = [value for name, value in model.items() if name not in checkpoint]
    assert len(fresh) == (0 if placement == "none" else 8 * 4)
    assert all(bool((value.abs() < 0.5).all()) for value in fresh)


def test_third_demonstration(checkpoint: dict[str, Tensor]) -> None:
    """SE with r = 8 before the last BatchNorm of layer3[1] joins a trunk loaded before."""
    config = SEConfig("prenorm", 8, stages=(3,), blocks="last")
    model = resnet18(weights="IMAGENET1K_V1", progress=False, se=config)
    assert [name for name, _ in se_modules(model)] == ["layer3.1"]
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in checkpoint.items())
    assert {name: tuple(state[name].shape) for name in state if name not in checkpoint} == {
        "layer3.1.se.fc1.weight": (32, 256),
        "layer3.1.se.fc1.bias": (32,),
        "layer3.1.se.fc2.weight": (256, 32),
        "layer3.1.se.fc2.bias": (256,),
    }


@torch.no_grad()
def test_settings_pass_through(images: Tensor) -> None:
    """Settings of torchvision's own reach its constructor, with SE and without."""
    for se in (None, SEConfig()):
        model = resnet50(
            num_classes=10,
            zero_init_residual=True,
            replace_stride_with_dilation=[False, False, True],
            se=se,
        )
        assert model(images).shape == (4, 10)
        assert not any(bool(block.bn3.weight.any()) for block in model.layer2)
        assert model.layer4[1].conv2.dilation == (2, 2)


def test_unknown_settings_are_refused() -> None:
    """A setting that torchvision's constructor does not know is its TypeError."""
    with pytest.raises(TypeError, match="reduction"):
        resnet18(reduction=16)
