"""BatchNorm statistics from data, so that an untrained network behaves like a trained one.

Freshly initialised, BatchNorm does nothing in eval mode, activations grow
from block to block (ResNet-152 reaches 1e7), every SE gate saturates at 0 or
1, and a test on such a network sees nothing of SE.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def calibrate_batch_norm(model: nn.Module, batch: Tensor) -> None:
    """Set every BatchNorm's running statistics, in place, to those of one batch.

    For that batch every BatchNorm in eval mode then gives mean 0 and variance
    1 (before its weight and bias), however deep the network. Other inputs are
    not so sure: an untrained ResNet-152 with SE in ``post`` or ``identity``
    still blows them up, so calibrate with the batch that is looked at.

    Args:
        model: any network; its mode is left as it was, and so are its
            statistics if it cannot take the batch.
        batch: an input ``(B, ...)`` that the network takes; in the deepest
            layer it must still have more than one value per channel.

    Raises:
        ValueError: if it has not, or if the model shares its trunk with another.
    """
    if getattr(model, "shares_trunk", False):
        raise ValueError("model must own its statistics, got one with share_trunk=True")
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    was_training = {module: module.training for module in model.modules()}
    before = {buffer: buffer.clone() for norm in norms for buffer in norm.buffers()}
    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    # In eval mode: a pass in training mode normalises by the biased variance but keeps the
    # unbiased one, and a deep network amplifies the difference (ResNet-152 with post: to 1e8).
    model.eval()
    try:
        model(batch)
    except BaseException:
        for buffer, value in before.items():
            buffer.copy_(value)
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in was_training.items():
            module.training = training


def _take_statistics(norm: _BatchNorm, inputs: tuple[Tensor]) -> None:
    """Let ``norm`` normalise the input before it by that input's own mean and variance."""
    (x,) = inputs
    if norm.running_mean is None or norm.running_var is None:
        return
    if x.numel() <= x.shape[1]:
        raise ValueError(
            "batch must leave every BatchNorm more than one value per channel, "
            f"got one of shape {tuple(x.shape)}"
        )
    variance, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())])
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.fill_(1)
