"""What checks of a device have in common: how they tell, and a network to check."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.measure import subject
from bench.trial import Path, Trial, Variant, Workload
from se_models.config import SEConfig
from se_models.fused import fuse

SIZE = 64

Lines = Iterator[str]


class WrongError(RuntimeError):
    """A check has failed; says which, and by how much."""


def fused_network(device: torch.device) -> tuple[nn.Module, Tensor]:
    """Fused SE-ResNet-18 and its input, ``(2, 3, 64, 64)``."""
    workload = Workload(batch=2, size=SIZE)
    trial = Trial(Variant("resnet18", SEConfig("standard")), workload, Path())
    model, example = subject.build(trial, subject.Trunks())
    return fuse(copy.deepcopy(model).to(device)), example.to(device)
