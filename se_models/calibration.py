"""BatchNorm statistics from data, so that an untrained network behaves like a trained one.

Freshly initialised, BatchNorm does nothing in eval mode, activations grow
from block to block (ResNet-152 reaches 1e8), every SE gate saturates at 0 or
1, and a test on such a network sees nothing of SE.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def calibrate_batch_norm(model: nn.Module, batch: Tensor) -> None:
    """Set every BatchNorm's running statistics, in place, to those of one batch.

    Args:
        model: any network; its mode is left as it was.
        batch: an input ``(B, ...)`` that the network takes; in the deepest
            layer it must still have more than one value per channel.
    """
    was_training = {module: module.training for module in model.modules()}
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average: after one batch, that batch's statistics
    try:
        model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in was_training.items():
            module.training = training
