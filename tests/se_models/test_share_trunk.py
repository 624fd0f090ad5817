"""with_se(..., share_trunk=True): the model's own tensors, for inference only."""

import copy
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import models

from se_models import PLACEMENTS, SEConfig, calibrate_batch_norm, with_se


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_tensors_are_the_same(placement: Any, trunk: models.ResNet) -> None:
    """Every parameter and buffer of the trunk is the very same object in the twin."""
    twin = with_se(trunk, SEConfig(placement), share_trunk=True)
    for name, parameter in trunk.named_parameters():
        assert twin.get_parameter(name) is parameter
    for name, buffer in trunk.named_buffers():
        assert twin.get_buffer(name) is buffer


@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_output_is_the_copied_twins(placement: Any, trunk: models.ResNet, images: Tensor) -> None:
    """With the same SE values the sharing twin and the copied one agree bit for bit."""
    shared = with_se(trunk, SEConfig(placement), share_trunk=True)
    copied = with_se(trunk, SEConfig(placement))
    copied.load_state_dict(shared.state_dict())
    assert torch.equal(shared(images), copied(images))


def test_twins_have_se_of_their_own(trunk: models.ResNet) -> None:
    """Two twins of one trunk share it, but not their SE."""
    first, second = (with_se(trunk, SEConfig(), share_trunk=True) for _ in range(2))
    name = "layer1.0.se.fc1.weight"
    assert first.get_parameter(name) is not second.get_parameter(name)
    assert first.layer1[0].conv1.weight is second.layer1[0].conv1.weight


def test_comes_in_eval_mode(trunk: models.ResNet) -> None:
    """The twin of a model in training mode is in eval mode, and the model stays as it was."""
    model = models.resnet18(num_classes=10)
    twin = with_se(model, SEConfig(), share_trunk=True)
    assert not any(module.training for module in twin.modules())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    "context", [torch.no_grad(), torch.inference_mode()], ids=["no_grad", "inference_mode"]
)
def test_runs_without_gradients(
    context: AbstractContextManager[None], trunk: models.ResNet, images: Tensor
) -> None:
    """The twin runs under torch.no_grad() and torch.inference_mode()."""
    twin = with_se(trunk, SEConfig(), share_trunk=True)
    with context:
        assert twin(images).shape == (4, 10)


@pytest.mark.parametrize(("training", "gradients"), [(False, True), (True, False), (True, True)])
def test_refuses_training(
    training: bool, gradients: bool, trunk: models.ResNet, images: Tensor
) -> None:
    """Calling the twin with gradients or in training mode is a RuntimeError, and has no effect."""
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    twin = with_se(trunk, SEConfig(), share_trunk=True).train(training)
    with (
        torch.set_grad_enabled(gradients),
        pytest.raises(RuntimeError, match="share_trunk=True is for inference only"),
    ):
        twin(images)
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())


def test_a_stage_refuses_gradients(trunk: models.ResNet) -> None:
    """A stage of the twin, called on its own, takes no gradients either."""
    twin = with_se(trunk, SEConfig(), share_trunk=True)
    features = torch.zeros(1, 64, 8, 8)
    with pytest.raises(RuntimeError, match="share_trunk=True is for inference only"):
        twin.layer1(features)
    with torch.no_grad():
        assert twin.layer1(features).shape == features.shape


def test_one_part_in_training_mode_is_refused(trunk: models.ResNet, images: Tensor) -> None:
    """A stage set to training alone would write the model's statistics, and does not."""
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    twin = with_se(trunk, SEConfig(), share_trunk=True)
    try:
        twin.layer1.train()
        with torch.no_grad(), pytest.raises(RuntimeError, match="share_trunk=True is for inf"):
            twin(images)
    finally:
        twin.layer1.eval()
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())


def test_a_copy_of_the_twin_is_guarded_by_its_own_mode(
    trunk: models.ResNet, images: Tensor
) -> None:
    """A deep copy does not ask the twin it was copied from."""
    twin = with_se(trunk, SEConfig(), share_trunk=True)
    copied = copy.deepcopy(twin)
    twin.layer1.train()
    try:
        with torch.no_grad():
            assert copied(images).shape == (4, 10)
    finally:
        twin.layer1.eval()


def test_calibration_spares_the_trunk(trunk: models.ResNet, images: Tensor) -> None:
    """Calibrating the twin, whose statistics are the model's, is refused and changes nothing."""
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    twin = with_se(trunk, SEConfig(), share_trunk=True)
    with pytest.raises(ValueError, match=r"^model must own its statistics, got one with share_tr"):
        calibrate_batch_norm(twin, images)
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())


def test_model_itself_still_trains(images: Tensor) -> None:
    """The model whose tensors are shared can be called with gradients as before."""
    model = models.resnet18(num_classes=10)
    with_se(model, SEConfig(), share_trunk=True)
    model(images).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
