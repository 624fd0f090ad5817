"""calibrate_batch_norm makes an untrained network one in which SE is seen."""

import copy
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from se_models import PLACEMENTS, SEConfig, SqueezeExcitation, calibrate_batch_norm, with_se
from se_models.blocks import SEBlock
from se_models.resnet import se_modules

SE_PLACEMENTS = tuple(placement for placement in PLACEMENTS if placement != "none")
SEEN = [
    *((placement, "resnet18") for placement in SE_PLACEMENTS),
    ("standard", "resnet50"),
    *(pytest.param(p, "resnet50", marks=pytest.mark.slow) for p in SE_PLACEMENTS[1:]),
    *(pytest.param(p, "resnet152", marks=pytest.mark.slow) for p in SE_PLACEMENTS),
]


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(8, 4, 3),
        nn.BatchNorm2d(4, momentum=0.3),
        nn.ReLU(),
    )


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def gates(model: nn.Module, batch: Tensor) -> Tensor:
    """Every gate that a forward pass over ``batch`` sets."""
    seen: list[Tensor] = []

    def note(module: Any, inputs: tuple[Tensor], _output: Tensor) -> None:
        seen.append(module.gate(*inputs).flatten())

    hooks = [
        module.register_forward_hook(note)
        for module in model.modules()
        if isinstance(module, SqueezeExcitation)
    ]
    model(batch)
    for hook in hooks:
        hook.remove()
    return torch.cat(seen)


@cache
def untrained(architecture: str) -> models.ResNet:
    return models.get_model(architecture, num_classes=10).eval()


def calibrated(architecture: str, placement: Any, batch: Tensor) -> Any:
    model = with_se(untrained(architecture), SEConfig(placement))
    calibrate_batch_norm(model, batch)
    return model


def without(blocks: Iterable[SEBlock], model: nn.Module, batch: Tensor) -> Any:
    """The output with the SE of ``blocks`` taken out; they have it again afterwards."""
    taken: list[tuple[Any, nn.Module]] = [(block, block.se) for block in blocks]
    for block, _ in taken:
        block.se = nn.Identity()
    output = model(batch)
    for block, se in taken:
        block.se = se
    return output


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize(("placement", "architecture"), SEEN)
@torch.no_grad()
def test_se_is_seen(placement: Any, architecture: str, images: Tensor) -> None:
    """In a calibrated network no gate is near 0 or 1, and without SE the output is another."""
    # Over the 36 blocks of ResNet-152's third stage the input grows, and `pre` weighs just that.
    margin = 0.01 if (architecture, placement) == ("resnet152", "pre") else 0.05
    model = calibrated(architecture, placement, images)
    seen = gates(model, images)
    assert margin < float(seen.min()) < 0.45
    assert 0.55 < float(seen.max()) < 1 - margin
    plain = without([block for _, block in se_modules(model)], model, images)
    assert distance(plain, model(images)) > 0.1


@pytest.mark.parametrize("placement", SE_PLACEMENTS)
@torch.no_grad()
def test_every_single_se_is_seen(placement: Any, images: Tensor) -> None:
    """The output is another without the SE of any one block, be it the first or the last."""
    model = calibrated("resnet18", placement, images)
    output = model(images)
    for _, block in se_modules(model):
        assert distance(without([block], model, images), output) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_calibration_tames_resnet152(placement: Any, images: Tensor) -> None:
    """An untrained plain ResNet-152 explodes; calibrated it does not, in any placement."""
    assert float(untrained("resnet152")(images).abs().max()) > 1e6
    assert float(calibrated("resnet152", placement, images)(images).abs().max()) < 100


@torch.no_grad()
def test_statistics(images: Tensor) -> None:
    """Each BatchNorm gets the mean and unbiased variance of what reaches it in eval mode."""
    model = small_network()
    calibrate_batch_norm(model, images)
    x = images
    for module in model.eval():
        if isinstance(module, nn.BatchNorm2d):
            rows = x.transpose(0, 1).flatten(1)
            mean = rows.sum(1) / rows.shape[1]
            variance = ((rows - mean[:, None]) ** 2).sum(1) / (rows.shape[1] - 1)
            torch.testing.assert_close(module.running_mean, mean)
            torch.testing.assert_close(module.running_var, variance)
            assert module.num_batches_tracked == 1
        x = module(x)


def test_statistics_are_the_last_batchs(images: Tensor) -> None:
    """Nothing of an earlier calibration is left after a second one, and no gradient is kept."""
    model, other = small_network(), torch.randn(2, 3, 20, 12) * 5 + 1
    twice = copy.deepcopy(model)
    calibrate_batch_norm(model, images)
    calibrate_batch_norm(twice, other)
    assert not torch.equal(values(twice)["1.running_mean"], values(model)["1.running_mean"])
    calibrate_batch_norm(twice, images)
    assert all(torch.equal(values(twice)[name], value) for name, value in values(model).items())
    assert not any(buffer.requires_grad for buffer in model.buffers())


def test_only_statistics_change(trunk: models.ResNet, images: Tensor) -> None:
    """Parameters, modes, momenta and hooks are what they were; every statistic is new."""
    model = copy.deepcopy(trunk)
    model.train()
    model.layer2.eval()
    model.layer3[0].bn1.momentum = 0.7
    modes = [module.training for module in model.modules()]
    before = values(model)
    calibrate_batch_norm(model, images * 2 + 1)
    after = values(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(("_mean", "_var"))}
    assert [module.training for module in model.modules()] == modes
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = {norm.momentum for norm in norms if norm is not model.layer3[0].bn1}
    assert (momenta, model.layer3[0].bn1.momentum) == ({0.1}, 0.7)
    assert not any(norm._forward_pre_hooks for norm in norms)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (torch.ones(4, 8, 9, 9), RuntimeError),
        (torch.ones(4, 3, 4, 4), RuntimeError),
        (torch.ones(1, 3, 5, 5), ValueError),
    ],
    ids=["too many channels", "fails after the first BatchNorm", "one value per channel"],
)
def test_failure_changes_nothing(batch: Tensor, error: type[Exception], images: Tensor) -> None:
    """A batch that the network cannot take leaves values, modes and hooks as they were."""
    model = small_network()
    calibrate_batch_norm(model, images)
    model[1].eval()
    before, modes = values(model), [module.training for module in model.modules()]
    with pytest.raises(error):
        calibrate_batch_norm(model, batch)
    assert all(torch.equal(before[name], value) for name, value in values(model).items())
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_norms_without_statistics_are_left_alone(images: Tensor) -> None:
    """A BatchNorm that keeps no statistics gets none."""
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3))
    calibrate_batch_norm(model, images)
    assert model[0].running_mean is None
    assert bool(values(model)["1.running_mean"].any())
