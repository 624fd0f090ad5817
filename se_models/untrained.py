"""Random weights that compute as calmly as trained ones, for what needs a network but no training.

A fresh network that only BatchNorm's statistics hold in bounds is chaotic: its
branches are as loud as the shortcuts that they are added to, and half of them
are left by each gate of ``post`` and ``identity``. Whatever differs at its
input, be it rounding, grows from block to block: float32 and float64 share no
digit at the end of a ResNet-152. Training leaves branches quiet.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock

from se_models.blocks import SEBasicBlock, SEBlock
from se_models.calibration import calibrate_batch_norm

# What is left of a branch, and what goes to a gate's logit: it then is about 0.98.
_BRANCH = 0.1
_LOGIT = 4.0


@torch.no_grad()
def settle(model: ResNet, batch: Tensor) -> None:
    """Quieten a network's branches, open its gates, and calibrate its BatchNorms, in place.

    Args:
        model: made of torchvision's blocks or of this package's, untrained.
        batch: as `calibrate_batch_norm` takes it.

    Raises:
        ValueError: as `calibrate_batch_norm`.
    """
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            last = block.bn2 if isinstance(block, BasicBlock | SEBasicBlock) else block.bn3
            last.weight.mul_(_BRANCH)
            last.bias.mul_(_BRANCH)
            if isinstance(block, SEBlock) and block.se.fc2.bias is not None:
                block.se.fc2.bias.add_(_LOGIT)
    calibrate_batch_norm(model, batch)
