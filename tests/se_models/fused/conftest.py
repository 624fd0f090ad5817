"""The trunks of tests/se_models, as if trained; every test must leave them as they are."""

import pytest
import torch
from torchvision import models

from se_models.fused.cpu import build
from tests.se_models.fused.trained import as_if_trained


@pytest.fixture(scope="session")
def trunk() -> models.ResNet:
    """A ResNet-18."""
    torch.manual_seed(1)
    return as_if_trained(models.resnet18(num_classes=10), torch.randn(4, 3, 64, 64))


@pytest.fixture(scope="session")
def deep_trunk() -> models.ResNet:
    """A ResNet-50."""
    torch.manual_seed(1)
    return as_if_trained(models.resnet50(num_classes=10), torch.randn(4, 3, 64, 64))


@pytest.fixture(scope="session")
def cpu_kernels() -> None:
    """Without them the reference alone would be tested."""
    assert build.load() is None
