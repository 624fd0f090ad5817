"""with_se plugs SE into the chosen blocks and leaves the rest, and the given model, alone."""

import copy
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import quantization

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.resnet import se_modules

SE_KEYS = ("se.fc1.weight", "se.fc1.bias", "se.fc2.weight", "se.fc2.bias")
TO_DOUBLE: dict[str, Any] = {"dtype": torch.float64}
TO_BFLOAT16: dict[str, Any] = {"dtype": torch.bfloat16}
TO_META: dict[str, Any] = {"device": "meta"}


def snapshot(model: nn.Module) -> tuple[dict[str, Tensor], list[tuple[str, type, bool]]]:
    """A model's values, and every module's name, type and mode."""
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return values, [(name, type(m), m.training) for name, m in model.named_modules()]


def saved_and_loaded(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert isinstance(loaded, nn.Module)
    return loaded


@pytest.mark.parametrize("share_trunk", [False, True], ids=["copied", "shared"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_given_model_is_untouched(
    placement: Any, share_trunk: bool, trunk: models.ResNet, images: Tensor
) -> None:
    """The given model keeps its modules, modes, keys, values and output."""
    values, modules = snapshot(trunk)
    output = trunk(images)
    with_se(trunk, SEConfig(placement), share_trunk=share_trunk)(images)
    values_now, modules_now = snapshot(trunk)
    assert modules_now == modules
    assert list(values_now) == list(values)
    assert all(torch.equal(values_now[name], values[name]) for name in values)
    assert torch.equal(trunk(images), output)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_twin_shares_no_tensor(placement: Any, trunk: models.ResNet) -> None:
    """What is done to the twin's tensors does not reach the given model."""
    twin = with_se(trunk, SEConfig(placement))
    theirs = {tensor.data_ptr() for tensor in trunk.state_dict().values()}
    assert theirs.isdisjoint(tensor.data_ptr() for tensor in twin.state_dict().values())


@pytest.mark.parametrize("placement", [p for p in PLACEMENTS if p != "none"])
def test_keys_and_values(placement: Any, trunk: models.ResNet) -> None:
    """The trunk's keys and values stay; SE adds four keys to every block, and no others."""
    twin = with_se(trunk, SEConfig(placement)).state_dict()
    plain = trunk.state_dict()
    assert [name for name in twin if name in plain] == list(plain)
    assert all(torch.equal(twin[name], value) for name, value in plain.items())
    assert twin.keys() - plain.keys() == {
        f"layer{stage}.{block}.{key}"
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
        for key in SE_KEYS
    }


@torch.no_grad()
def test_none_is_the_plain_model(trunk: models.ResNet, images: Tensor) -> None:
    """With placement none the twin is the given model over again, bit for bit."""
    twin = with_se(trunk, SEConfig("none"))
    assert [type(module) for module in twin.modules()] == [type(m) for m in trunk.modules()]
    assert list(twin.state_dict()) == list(trunk.state_dict())
    assert torch.equal(twin(images), trunk(images))


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ({}, "1.0 1.1 1.2 2.0 2.1 2.2 2.3 3.0 3.1 3.2 3.3 3.4 3.5 4.0 4.1 4.2"),
        ({"stages": (4, 1)}, "1.0 1.1 1.2 4.0 4.1 4.2"),
        ({"blocks": "last"}, "1.2 2.3 3.5 4.2"),
        ({"stages": (3,), "blocks": "last"}, "3.5"),
        ({"blocks": (0,)}, "1.0 2.0 3.0 4.0"),
        ({"stages": (2, 3), "blocks": (3, 0)}, "2.0 2.3 3.0 3.3"),
    ],
    ids=str,
)
def test_selection(selection: dict[str, Any], chosen: str) -> None:
    """SE goes into the chosen blocks of the chosen stages of a ResNet-50, and nowhere else."""
    with torch.device("meta"):
        plain = models.resnet50()
        twin = with_se(plain, SEConfig(**selection))
    names = [f"layer{name}" for name in chosen.split()]
    assert [name for name, _ in se_modules(twin)] == names
    added = {name.partition(".se.")[0] for name in twin.state_dict() if ".se." in name}
    assert added == set(names)
    assert len(twin.state_dict()) == len(plain.state_dict()) + 4 * len(names)


def test_config_reaches_the_module(trunk: models.ResNet) -> None:
    """Reduction, floor and bias of the config are those of every SE module."""
    config = SEConfig(reduction=8, min_hidden=32, bias=False)
    for _, block in se_modules(with_se(trunk, config)):
        channels = block.conv2.out_channels
        assert block.se.fc1.weight.shape == (max(channels // 8, 32), channels)
        assert [name for name, _ in block.se.named_parameters()] == ["fc1.weight", "fc2.weight"]


@pytest.mark.parametrize("to", [TO_DOUBLE, TO_BFLOAT16, TO_META], ids=str)
def test_se_follows_the_trunk(to: dict[str, Any], trunk: models.ResNet) -> None:
    """The SE parameters have the trunk's dtype and device, and are trained."""
    plain = copy.deepcopy(trunk).to(**to)
    for _, block in se_modules(with_se(plain, SEConfig())):
        for parameter in block.se.parameters():
            assert parameter.dtype == plain.fc.weight.dtype
            assert parameter.device == plain.fc.weight.device
            assert parameter.requires_grad


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_mode_follows_the_trunk(training: bool, trunk: models.ResNet) -> None:
    """Every module of the twin, SE included, is in the mode of the given model."""
    twin = with_se(copy.deepcopy(trunk).train(training), SEConfig())
    assert {module.training for module in twin.modules()} == {training}


def test_frozen_batch_norm_stays_frozen(trunk: models.ResNet) -> None:
    """A BatchNorm in eval mode within a model in training mode stays so in the twin."""
    plain = copy.deepcopy(trunk).train()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    twin = dict(with_se(plain, SEConfig()).named_modules())
    assert {name: twin[name].training for name, _ in plain.named_modules()} == {
        name: module.training for name, module in plain.named_modules()
    }
    assert twin["layer1.0.se.fc1"].training


@pytest.mark.parametrize("clone", [copy.deepcopy, saved_and_loaded])
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_twin_can_be_copied(
    placement: Any,
    clone: Callable[[nn.Module], nn.Module],
    trunk: models.ResNet,
    images: Tensor,
) -> None:
    """A deep copy, or the module written and read again, gives the same output bit for bit."""
    twin = with_se(trunk, SEConfig(placement))
    assert torch.equal(clone(twin)(images), twin(images))


@torch.no_grad()
def test_state_dict_round_trip(trunk: models.ResNet, images: Tensor) -> None:
    """A twin with other SE values gives the same output once it has loaded the first's state."""
    first, second = (with_se(trunk, SEConfig()) for _ in range(2))
    assert not torch.equal(first(images), second(images))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("build", [quantization.resnet18, quantization.resnet50])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_refuses_quantizable_models(build: Callable[[], nn.Module]) -> None:
    """A quantizable ResNet is a ValueError that says which blocks it must be built of."""
    with pytest.raises(ValueError, match="must be built of torchvision's BasicBlock or Bott"):
        with_se(build(), SEConfig())


def test_refuses_other_models(trunk: models.ResNet) -> None:
    """What is no ResNet, or has SE already, is a ValueError that says what it got."""
    with pytest.raises(ValueError, match=r"^model must be a torchvision ResNet, got a Linear$"):
        with_se(nn.Linear(2, 2), SEConfig())
    twin = with_se(trunk, SEConfig(stages=(2,)))
    message = "model must be a plain ResNet, got one that has SE in layer2.0"
    for config in (SEConfig(), SEConfig("none"), SEConfig(stages=(3,))):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            with_se(twin, config)


def test_refuses_what_is_no_config(trunk: models.ResNet) -> None:
    """A placement's name alone is a natural mistake."""
    with pytest.raises(ValueError, match=r"^SE must be described by an SEConfig, got 'pre'$"):
        with_se(trunk, "pre")  # type: ignore[arg-type]


def test_refuses_a_stage_without_blocks(trunk: models.ResNet) -> None:
    """Somebody has cut it off; where SE goes elsewhere it does not matter."""
    cut = copy.deepcopy(trunk)
    cut.layer4 = nn.Identity()
    with pytest.raises(ValueError, match=r"^layer4 of the model must hold blocks, got Identity$"):
        with_se(cut, SEConfig())
    assert with_se(cut, SEConfig(stages=(3,))).layer4 is not cut.layer4


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"blocks": (0, 2)}, "layer1 of this model has blocks 0 to 1, got 2"),
        ({"blocks": (7,), "stages": (3,)}, "layer3 of this model has blocks 0 to 1, got 7"),
    ],
)
def test_refuses_blocks_that_do_not_exist(
    selection: dict[str, Any], message: str, trunk: models.ResNet
) -> None:
    """A block that a chosen stage lacks is a ValueError naming the stage, its blocks and it."""
    with pytest.raises(ValueError, match=f"^blocks must exist .*: {re.escape(message)}$"):
        with_se(trunk, SEConfig(**selection))
