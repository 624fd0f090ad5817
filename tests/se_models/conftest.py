"""The seed, the inputs and the trunks that tests of se_models share."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torchvision import models

from se_models import calibrate_batch_norm


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """On inputs this small more threads wait longer for each other than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 64, 64)


def _calibrated(model: models.ResNet) -> models.ResNet:
    calibrate_batch_norm(model, torch.randn(4, 3, 64, 64))
    return model.eval()


@pytest.fixture(scope="session")
def trunk() -> models.ResNet:
    """A ResNet-18 as if trained, in eval mode; every test must leave it as it is."""
    torch.manual_seed(1)
    return _calibrated(models.resnet18(num_classes=10))


@pytest.fixture(scope="session")
def deep_trunk() -> models.ResNet:
    """A ResNet-50 as if trained, in eval mode; every test must leave it as it is."""
    torch.manual_seed(1)
    return _calibrated(models.resnet50(num_classes=10))
