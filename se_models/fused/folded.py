"""From a ResNet to its folded twin: ``fold(model)``."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from se_models.blocks import SEBlock
from se_models.fused.eligibility import BOTTLENECK
from se_models.fused.folding import FoldedConv
from se_models.fused.twin import Twin


def fold(model: ResNet, *, keep_state: bool = True) -> FoldedResNet:
    """The folded twin of a ResNet, for inference; the given model is untouched.

    Every BatchNorm that follows a convolution directly is folded into it, and
    nothing else is changed: SE, sums and ReLUs are PyTorch's own operators, in
    place where the model has them in place. Beside it, what ``fuse`` gains can
    be told from what folding gains. In ``prenorm`` the last BatchNorm of a
    block follows SE, so it stays.

    Args and Raises:
        those of `Twin`.
    """
    return FoldedResNet(model, keep_state=keep_state)


class FoldedResNet(Twin):
    """What ``fold`` returns."""

    conv1: FoldedConv
    relu: nn.ReLU
    maxpool: nn.Module
    blocks: nn.Sequential
    avgpool: nn.Module

    def _rewritten(self, model: ResNet) -> nn.ModuleDict:
        stages = (model.layer1, model.layer2, model.layer3, model.layer4)
        return nn.ModuleDict(
            {
                "conv1": FoldedConv(model.conv1, model.bn1),
                "relu": copy.deepcopy(model.relu),
                "maxpool": copy.deepcopy(model.maxpool),
                "blocks": nn.Sequential(*map(_folded, chain(*stages))),
                "avgpool": copy.deepcopy(model.avgpool),
                "fc": copy.deepcopy(model.fc),
            }
        )

    def _infer(self, x: Tensor) -> Tensor:
        x = self.blocks(self.maxpool(self.relu(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _folded(block: nn.Module) -> nn.Module:
    """A copy of a block with its BatchNorms folded, but for one that follows SE."""
    block = copy.deepcopy(block)
    last = 3 if isinstance(block, BOTTLENECK) else 2
    follows_se = isinstance(block, SEBlock) and block.placement == "prenorm"
    for number in range(1, last if follows_se else last + 1):
        _fold(block, f"conv{number}", f"bn{number}")
    if isinstance(block.downsample, nn.Module):
        _fold(block.downsample, "0", "1")
    return block


def _fold(parent: nn.Module, conv: str, norm: str) -> None:
    """Replace both by the one, and what computes nothing."""
    setattr(parent, conv, FoldedConv(getattr(parent, conv), getattr(parent, norm)))
    setattr(parent, norm, nn.Identity())
