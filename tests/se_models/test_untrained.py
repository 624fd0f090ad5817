"""settle makes of random weights a network in which rounding stays rounding."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import se_models
from se_models import SEConfig
from se_models.untrained import settle


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet50", pytest.param("resnet152", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("placement", ["none", "post", "identity"])
def test_rounding_does_not_grow(placement: Any, architecture: str) -> None:
    """From block to block: float32 is within 1e-5 of float64 at the end."""
    batch = torch.randn(2, 3, 64, 64)
    model = getattr(se_models, architecture)(se=SEConfig(placement), num_classes=10)
    settle(model, batch)
    model.eval()
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(batch.double())
        assert (model(batch) - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_network_without_biases_settles() -> None:
    """Its gates stay as they are."""
    model = se_models.resnet18(se=SEConfig("post", bias=False))
    before = copy.deepcopy(model.layer1[0].se.state_dict())
    settle(model, torch.randn(2, 3, 64, 64))
    after = model.layer1[0].se.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
