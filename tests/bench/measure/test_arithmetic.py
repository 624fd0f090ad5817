"""The adapter around fvcore, on networks small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from bench.measure.arithmetic import Arithmetic, UncountedError, count_arithmetic
from se_models import SqueezeExcitation


def tiny_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 5),
    ).eval()


def on_meta(constructor: Callable[[], nn.Module]) -> nn.Module:
    """Built without a weight: what is counted depends on none."""
    with torch.device("meta"):
        return constructor().eval()


def images(batch: int, size: int, channels: int = 3) -> Tensor:
    return torch.empty(batch, channels, size, size, device="meta")


def test_convolution_network_by_hand() -> None:
    """Convolutions and linear layers are MACs, the rest one per output element, views nothing."""
    counted = count_arithmetic(tiny_network(), torch.zeros(2, 3, 8, 8))
    macs = 8 * 8 * 4 * 3 * 3 * 3 + 4 * 8 * 8 * 5
    elementwise = 2 * (4 * 8 * 8)
    assert counted == Arithmetic(macs=2 * macs, elementwise_ops=2 * elementwise)


def test_squeeze_excitation_by_hand() -> None:
    """The mean, both activations and the scaling of an SE module all count."""
    counted = count_arithmetic(SqueezeExcitation(8, 2).eval(), torch.zeros(2, 8, 4, 4))
    macs = 8 * 4 + 4 * 8
    elementwise = 8 + 4 + 8 + 8 * 4 * 4
    assert counted == Arithmetic(macs=2 * macs, elementwise_ops=2 * elementwise)


def test_grouped_and_strided_convolution_by_hand() -> None:
    """A group sees only its own channels, and a stride leaves out pixels."""
    model = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4).eval()
    assert count_arithmetic(model, images(1, 8, channels=8)).macs == 4 * 4 * 8 * (8 // 4) * 9


def test_resnet18_is_the_published_count() -> None:
    """ResNet-18 at 224 pixels has 1,814,073,344 multiply-adds."""
    assert count_arithmetic(on_meta(models.resnet18), images(1, 224)).macs == 1_814_073_344


def test_resnet50_is_the_published_count() -> None:
    """ResNet-50 at 224 pixels, stride in the 3x3, has 4.089 G multiply-adds."""
    macs = count_arithmetic(on_meta(models.resnet50), images(1, 224)).macs
    assert macs == pytest.approx(4.089e9, rel=1e-4)


def test_arithmetic_is_linear_in_the_batch() -> None:
    """Three images take three times the arithmetic of one."""
    one, three = (count_arithmetic(tiny_network(), torch.zeros(b, 3, 8, 8)) for b in (1, 3))
    assert three == Arithmetic(3 * one.macs, 3 * one.elementwise_ops)


def test_meta_and_real_model_count_alike() -> None:
    """A model and its twin without weights have the same arithmetic."""
    real = count_arithmetic(tiny_network(), torch.zeros(1, 3, 8, 8))
    assert count_arithmetic(on_meta(tiny_network), images(1, 8)) == real


def test_model_is_left_as_it_is() -> None:
    """Counting writes to no tensor of the model and leaves no gradient, hook or mode behind."""
    model = tiny_network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_arithmetic(model, torch.zeros(1, 3, 8, 8))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model(torch.zeros(1, 3, 8, 8)).requires_grad


@pytest.mark.parametrize(
    ("layer", "name"), [(nn.Tanh(), "aten::tanh"), (nn.GroupNorm(1, 3), "aten::group_norm")]
)
def test_unsupported_operator_is_an_error(layer: nn.Module, name: str) -> None:
    """An operator without a handle of ours is named, also where fvcore has one of its own."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), layer).eval()
    with pytest.raises(UncountedError, match=rf"must have a handle .* got {name}$"):
        count_arithmetic(model, torch.zeros(1, 3, 8, 8))


def test_training_mode_is_an_error() -> None:
    """A model in training mode does other operations, and is refused."""
    with pytest.raises(ValueError, match=r"^model must be in eval mode"):
        count_arithmetic(tiny_network().train(), torch.zeros(1, 3, 8, 8))


def test_disagreement_with_flop_counter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second opinion that is not exactly twice the multiply-adds stops the count."""
    monkeypatch.setattr(FlopCounterMode, "get_total_flops", lambda _: 2 * 8192 + 1)
    with pytest.raises(RuntimeError, match=r"fvcore counts 8192 .* 16385 operations"):
        count_arithmetic(tiny_network(), torch.zeros(1, 3, 8, 8))
