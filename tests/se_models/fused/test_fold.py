"""fold(model) folds BatchNorms and changes nothing else, so that it passes for nothing more."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fold
from tests.se_models.fused.agreement import calls, off

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_output_is_the_models(
    deep: bool, placement: Any, layout: Any, trunk: Any, deep_trunk: Any
) -> None:
    """In float32 to 1e-5 of float64, for both kinds of block and either layout."""
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    images = torch.randn(2, 3, 64, 64)
    exact = copy.deepcopy(model).double()
    folded = fold(model.to(memory_format=layout))
    assert off(folded, exact, images.contiguous(memory_format=layout)) < 1e-5


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_only_batch_norms_are_gone(deep: bool, placement: Any, trunk: Any, deep_trunk: Any) -> None:
    """All but those that follow SE, one in each block; every other operator is called as before."""
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    images = torch.randn(2, 3, 64, 64)
    before, after = calls(model, images), calls(fold(model), images)
    norm = "aten.native_batch_norm.default"
    stay = (16 if deep else 8) if placement == "prenorm" else 0
    assert before.pop(norm) == (53 if deep else 20)
    assert after.pop(norm, 0) == stay
    # A BatchNorm in eval mode makes an empty tensor for what training would keep, and counts
    # nothing else; a Linear's transposed weight needs no detaching where it asks for no gradients.
    ignored = Counter({"aten.empty.memory_format": before["aten.empty.memory_format"]})
    assert before - ignored == after - ignored
    folded = fold(model)
    left = [name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)]
    last = "bn3" if deep else "bn2"
    assert left == [f"blocks.{number}.{last}" for number in range(stay)]
