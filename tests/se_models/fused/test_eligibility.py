"""Which models have twins: those that are what a rewrite takes them for; others are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torchvision import models
from torchvision.models import ResNet

from se_models import SEConfig, with_se
from se_models.fused import fold, fuse
from se_models.fused.twin import Twin
from tests.se_models.fused.agreement import off

Make = Callable[..., Twin]

pytestmark = pytest.mark.parametrize("make", [fuse, fold])


class _Subclass(ResNet):  # type: ignore[misc]
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def in_training(model: ResNet) -> None:
    model.layer2[1].bn1.train()


def another_pool(model: ResNet) -> None:
    model.maxpool = nn.AvgPool2d(3)


def another_activation(model: ResNet) -> None:
    model.layer3[0].relu = nn.SiLU()


def another_norm(model: ResNet) -> None:
    model.layer1[0].bn2 = nn.GroupNorm(1, 64)


def no_statistics(model: ResNet) -> None:
    model.layer1[0].bn2 = nn.BatchNorm2d(64, track_running_stats=False).eval()


def another_padding(model: ResNet) -> None:
    model.layer4[1].conv2.padding_mode = "reflect"


def another_shortcut(model: ResNet) -> None:
    model.layer2[0].downsample = nn.Sequential(nn.AvgPool2d(2), *model.layer2[0].downsample)


def another_block(model: ResNet) -> None:
    model.layer1[1] = nn.Identity()


def another_excitation(model: ResNet) -> None:
    model.layer1 = with_se(copy.deepcopy(model), SEConfig(stages=(1,))).eval().layer1
    model.layer1[0].se = nn.Identity()


def another_layer(model: ResNet) -> None:
    class Adapted(nn.Linear):
        pass

    model.layer1 = with_se(copy.deepcopy(model), SEConfig(stages=(1,))).eval().layer1
    model.layer1[0].se.fc1 = Adapted(64, 4).eval()


def a_patched_block(model: ResNet) -> None:
    model.layer1[0].forward = lambda x: x


def a_patched_model(model: ResNet) -> None:
    model.forward = lambda x: x


def a_patched_implementation(model: ResNet) -> None:
    model._forward_impl = lambda x: x


def a_patched_stage(model: ResNet) -> None:
    model.layer1.forward = lambda x: x


def a_patched_convolution(model: ResNet) -> None:
    model.layer1[0].conv1.forward = lambda x: x


def a_convolution_patched_within(model: ResNet) -> None:
    model.layer1[0].conv1._conv_forward = lambda x, weight, bias: x


def a_patched_norm(model: ResNet) -> None:
    model.layer2[0].downsample[1].forward = lambda x: x


def a_patched_activation(model: ResNet) -> None:
    model.relu.forward = lambda x: x


def a_patched_pool(model: ResNet) -> None:
    model.maxpool.forward = lambda x: x


def a_patched_excitation(model: ResNet) -> None:
    model.layer1 = with_se(copy.deepcopy(model), SEConfig(stages=(1,))).eval().layer1
    model.layer1[1].se.gate = lambda x: x


def another_stage(model: ResNet) -> None:
    class Repeated(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in (*self, *self):
                x = block(x)
            return x

    model.layer1 = Repeated(*model.layer1).eval()


def an_empty_stage(model: ResNet) -> None:
    model.layer3 = nn.Sequential().eval()


def elsewhere(model: ResNet) -> None:
    model.fc.to("meta")


def beyond_float16(model: ResNet) -> None:
    model.half()
    model.layer1[0].bn1.running_var.fill_(0)
    model.layer1[0].bn1.weight.data.fill_(6e4)


def not_a_number(model: ResNet) -> None:
    model.layer2[0].conv2.weight.data[0, 0, 0, 0] = torch.nan


def a_hooked_block(model: ResNet) -> None:
    model.layer1[0].register_forward_hook(lambda _block, _given, output: 0 * output)


def a_hooked_model(model: ResNet) -> None:
    model.register_forward_pre_hook(lambda _model, given: (2 * given[0],))


def a_pruned_convolution(model: ResNet) -> None:
    prune.l1_unstructured(model.layer1[0].conv1, "weight", amount=0.5)


def another_forward(model: ResNet) -> None:
    model.__class__ = _Subclass


def another_call(model: ResNet) -> None:
    class _Doubled(ResNet):  # type: ignore[misc]
        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().__call__(x)

    model.__class__ = _Doubled


def mixed(model: ResNet) -> None:
    model.fc.double()


def eight_bits(model: ResNet) -> None:
    model.to(torch.float8_e5m2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (in_training, "model must be in eval mode, got layer2.1.bn1 in training mode"),
        (another_pool, "maxpool must be of type MaxPool2d or Identity, got AvgPool2d"),
        (another_activation, "layer3.0.relu must be of type ReLU, got SiLU"),
        (another_norm, "layer1.0.bn2 must be of type BatchNorm2d, got GroupNorm"),
        (no_statistics, "layer1.0.bn2 must have running statistics, got none"),
        (another_padding, "layer4.1.conv2 must have padding_mode 'zeros', got 'reflect'"),
        (another_shortcut, "layer2.0.downsample must be a convolution and a BatchNorm, got Seq"),
        (another_block, "layer1.1 must be a BasicBlock or a Bottleneck, .* got a Identity"),
        (another_excitation, "layer1.0.se must be of type SqueezeExcitation, got Identity"),
        (another_layer, "layer1.0.se.fc1 must be of type Linear, got Adapted"),
        (another_stage, "layer1 must be a Sequential of blocks, got Repeated"),
        (an_empty_stage, "layer3 must be a Sequential of blocks, got Sequential"),
        (a_patched_block, "layer1.0.forward must be that of its class"),
        (a_patched_model, "model.forward must be that of its class"),
        (a_patched_implementation, "model._forward_impl must be that of its class"),
        (a_patched_stage, "layer1.forward must be that of its class"),
        (a_patched_convolution, "layer1.0.conv1.forward must be that of its class"),
        (a_convolution_patched_within, "layer1.0.conv1._conv_forward must be that of its class"),
        (a_patched_norm, "layer2.0.downsample.1.forward must be that of its class"),
        (a_patched_activation, "relu.forward must be that of its class"),
        (a_patched_pool, "maxpool.forward must be that of its class"),
        (a_patched_excitation, "layer1.1.se.gate must be that of its class"),
        (elsewhere, "model must be on one device, got cpu and meta"),
        (beyond_float16, "blocks.0.[a-z0-9.]*weight must be finite once BatchNorm is folded"),
        (
            not_a_number,
            "blocks.[0-9.a-z]*weight must be finite .* got NaN or a value beyond",
        ),
        (a_hooked_block, "layer1.0 must have no forward hooks, .* got 1: remove them"),
        (a_hooked_model, "model must have no forward hooks"),
        (a_pruned_convolution, "layer1.0.conv1 must have no forward hooks"),
        (another_forward, "model must run as torchvision's ResNet does, got a _Subclass with"),
        (another_call, "got a _Doubled with a __call__ of its own"),
        (mixed, "model must be of one dtype of .*, got float32 and float64"),
        (eight_bits, "model must be of one dtype of .*, got float8_e5m2"),
    ],
)
def test_what_would_come_out_wrong_is_refused(
    make: Make, change: Any, told: str, trunk: Any
) -> None:
    """By the name of the module, the rule and what it is."""
    model = copy.deepcopy(trunk)
    change(model)
    with pytest.raises(ValueError, match=told):
        make(model)


def test_patched_ends_run_as_they_are(make: Make, trunk: Any) -> None:
    """The pooling and the head are called, and methods that compute nothing say nothing."""
    model = copy.deepcopy(trunk)
    model.avgpool.forward = lambda x: 2 * x.amax(dim=(2, 3), keepdim=True)
    head = model.fc.forward
    model.fc.forward = lambda x: 3 * head(x)
    model.extra_repr = lambda: "ours"
    exact = copy.deepcopy(trunk).double()
    exact.avgpool = nn.AdaptiveMaxPool2d(1)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        body = exact.fc.bias.clone()
        exact.fc.bias.zero_()
    assert off(make(model), lambda given: 6 * exact(given) + 3 * body, images) < 1e-5


@pytest.mark.parametrize("model", [nn.Linear(2, 2), models.vgg11, None])
def test_what_is_no_resnet_is_refused(make: Make, model: Any) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError, match="model must be a torchvision ResNet, got a "):
        make(model)


def test_other_heads_and_stems_stay(make: Make, trunk: Any) -> None:
    """A stem without pooling, a pooling that is not global, a head of several layers."""
    model = copy.deepcopy(trunk)
    model.maxpool = nn.Identity()
    model.avgpool = nn.AdaptiveAvgPool2d(2)
    model.fc = nn.Sequential(nn.Linear(2048, 7), nn.ReLU(), nn.Linear(7, 3))
    model.eval()
    assert off(make(model), copy.deepcopy(model).double(), torch.randn(2, 3, 64, 64)) < 1e-5
