"""ResNets as if trained: calm, calibrated, and with BatchNorms that all differ."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import ResNet

from se_models.untrained import settle


def as_if_trained(model: ResNet, images: Tensor) -> ResNet:
    """The model itself, in eval mode, for images like these.

    Fresh BatchNorms have weight 1 and bias 0: a fold that forgot them would
    not be noticed. And in a chaotic network eager itself is farther from
    float64 than may be asked of a twin.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    settle(model, images)
    return model.eval()
