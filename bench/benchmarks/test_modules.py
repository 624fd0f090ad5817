"""The SE module alone, at the maps of a ResNet-50's stages; ``none`` multiplies by ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.measure.paths import Forward
from bench.trial import Device
from se_models.squeeze_excitation import SqueezeExcitation

# Channels and pixels a side, at 224 px.
MAPS = {"layer1": (256, 56), "layer2": (512, 28), "layer3": (1024, 14), "layer4": (2048, 7)}


class Scale(nn.Module):
    """The one pass that is left if all gates are 1."""

    gate: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("gate", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate


@pytest.mark.parametrize("stage", MAPS)
@pytest.mark.parametrize("placement", ["none", "se-r4", "se-r16"])
def test_module(run: Callable[[Forward], None], placement: str, stage: str, device: Device) -> None:
    """Squeeze, excite and scale at two reductions, over the scale alone."""
    channels, side = MAPS[stage]
    reduction = int(placement.partition("-r")[2] or 0)
    module = SqueezeExcitation(channels, reduction) if reduction else Scale(channels)
    module = module.eval().to(device)
    x = torch.randn(1, channels, side, side, device=device)
    run(lambda: module(x))
