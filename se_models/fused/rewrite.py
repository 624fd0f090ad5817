"""From a ResNet to its fused twin: ``fuse(model)``."""

from __future__ import annotations

import copy
from functools import partial
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from se_models.config import check_positive
from se_models.fused.blocks import FusedBlock, HandedOn
from se_models.fused.folding import FoldedConv
from se_models.fused.kernels import load as load_kernels
from se_models.fused.latest import KINDS
from se_models.fused.operators import tail_squeeze_
from se_models.fused.replay import Replays
from se_models.fused.twin import Twin


def fuse(model: ResNet, *, keep_state: bool = True, kinds: int = KINDS) -> FusedResNet:
    """The fused twin of a ResNet, for inference; the given model is untouched.

    BatchNorms are folded into convolutions, and the tail of every block, SE and
    all, is one pass over its feature map. Plain ResNets fuse too, so that SE can
    be compared with none by the same means. On the CPU, and for CUDA, kernels are
    compiled on first use; where that fails, and on other devices, a reference in
    plain PyTorch runs, and a warning says why.

    Args and Raises:
        those of `FusedResNet`.
    """
    return FusedResNet(model, keep_state=keep_state, kinds=kinds)


class FusedResNet(Twin):
    """What ``fuse`` returns.

    What its stem and blocks call is kept with the tensors that they take, for the
    kinds of input that were used last: once it has run, they are not to be changed or
    replaced. Load another state, or fuse anew. ``fc`` may be changed, until another
    state or a move brings back the model's. ``avgpool`` may be unless it is the global
    mean, which the last block tells along with its tail: then calling the twin with
    another, or one that has hooks, is a RuntimeError.

    Args:
        model, keep_state: those of `Twin`.
        kinds: for how many shapes, strides and dtypes of images calls are kept on the CPU.
            Each holds weights that were laid out for it, about as many bytes as the
            model's. One more kind than that, and forwards may have to lay out all weights
            anew, time and again.

    Raises:
        ValueError, RuntimeError: those of `Twin`; and unless ``kinds`` is a positive integer.
    """

    conv1: FoldedConv
    maxpool: nn.Module
    blocks: nn.ModuleList
    avgpool: nn.Module

    def __init__(self, model: ResNet, *, keep_state: bool = True, kinds: int = KINDS) -> None:
        check_positive("kinds", kinds)
        self._kinds = kinds  # first, for it is asked for when the model is rewritten
        super().__init__(model, keep_state=keep_state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickled, it may be in a process that has loaded no kernels yet."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        load_kernels(self.conv1.plain_weight().device)
        self._replays = self._new_replays()

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        # Calls hold weights that were laid out, which can be neither copied nor pickled.
        return {name: value for name, value in state.items() if name != "_replays"}

    def _rewritten(self, model: ResNet) -> nn.ModuleDict:
        load_kernels(model.conv1.weight.device)
        stages = (model.layer1, model.layer2, model.layer3, model.layer4)
        folded = partial(FoldedConv, kinds=self._kinds, keeps_plain=self._keeps_state)
        blocks = [FusedBlock(block, folded) for block in chain(*stages)]
        for block, successor in pairwise(blocks):
            block.tells_means = successor.wants_means
            block.hands_gate_on = successor.takes_pending_gate()
        blocks[-1].tells_means = _is_global(model.avgpool)
        blocks[-1].map_is_read = not blocks[-1].tells_means
        return nn.ModuleDict(
            {
                "conv1": folded(model.conv1, model.bn1),
                "maxpool": copy.deepcopy(model.maxpool),
                "blocks": nn.ModuleList(blocks),
                "avgpool": copy.deepcopy(model.avgpool),
                "fc": copy.deepcopy(model.fc),
            }
        )

    def _begin_anew(self) -> None:
        self._replays = self._new_replays()

    def _new_replays(self) -> Replays:
        parts = (self.conv1, self.maxpool, *self.blocks.modules())
        return Replays(parts, kinds=self._kinds)

    def _infer(self, x: Tensor) -> Tensor:
        features = self._replays(self._features, x)
        # The rest may be anybody's modules, of which nobody knows what they decide by.
        if features.dim() == 2:
            if not _is_global(self.avgpool):
                raise RuntimeError(
                    "avgpool must be the global mean that this twin's last block tells, and have "
                    f"no hooks, for it is not called, got {self.avgpool}: change it in the model, "
                    "and fuse anew"
                )
            return self.fc(features.to(x.dtype))
        return self.fc(torch.flatten(self.avgpool(features), 1))

    def _features(self, x: Tensor) -> Tensor:
        """What the last block puts out: its map ``(B, C, H, W)``, or means of that ``(B, C)``."""
        if torch.compiler.is_compiling() and x.device.type == "cpu":
            # Inductor packs convolutions for this layout, but calls operators of ours in the one
            # that it has traced: from another, maps would be laid out anew around each of them.
            x = x.contiguous(memory_format=torch.channels_last)
        given = self._stem(x)
        for block in self.blocks:
            given = block(given)
        return given.map if given.means is None else given.means

    def _stem_tells_means(self) -> bool:
        return bool(self.blocks[0].wants_means)

    def _stem(self, x: Tensor) -> HandedOn:
        """What the first block is given."""
        # ReLU and maximum may change places, and behind the pooling there is less to do. Nor has
        # the convolution to rectify by itself, which would make 0 of an image's NaN.
        x = self.maxpool(self.conv1(x))
        if self._stem_tells_means():
            return HandedOn(x, tail_squeeze_(x, None, None, None, None), None)
        return HandedOn(torch.relu_(x), None, None)


def _is_global(pool: nn.Module) -> bool:
    """Whether all it does is to take the means that the last block can tell."""
    return (
        type(pool) is nn.AdaptiveAvgPool2d
        and pool.output_size in (1, (1, 1))
        and "forward" not in vars(pool)
        and not pool._forward_hooks
        and not pool._forward_pre_hooks
    )
