"""One residual block in every placement, as it is written and fused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.measure import subject
from bench.measure.paths import Forward
from bench.trial import Device, Trial, Variant, Workload
from se_models.config import PLACEMENTS, Architecture, Placement, SEConfig
from se_models.fused.blocks import FusedBlock
from se_models.fused.kernels import missing
from se_models.fused.operators import squeeze

_trunks = subject.Trunks()
# What the second stage's blocks take at 224 px.
SIDE = 28


@pytest.mark.parametrize("path", ["eager", "fused"])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_block(
    run: Callable[[Forward], None], placement: Placement,
    architecture: Architecture, path: str, device: Device,
) -> None:  # fmt: skip
    """The second block of the second stage, one image."""
    variant = Variant(architecture, SEConfig(placement))
    model, _ = subject.build(Trial(variant, Workload(device=device)), _trunks)
    block = model.layer2[1]
    x = torch.randn(1, block.conv1.in_channels, SIDE, SIDE, device=device)
    if path == "eager":
        run(lambda: block(x))
        return
    lacking = missing(device)
    if lacking is not None:
        pytest.skip(f"no kernels for fused blocks: {lacking}")
    fused = FusedBlock(block).eval()
    means: Tensor | None = squeeze(x, False) if fused.wants_means else None
    run(lambda: fused(x, means))
