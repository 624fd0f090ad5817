"""A twin computes by tensors of its own, whatever is put in their place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.func import functional_call
from torchvision.models import ResNet

from se_models import SEConfig, with_se
from se_models.fused import fold, fuse
from tests.se_models.fused.agreement import off


@pytest.mark.parametrize("name", ["conv1.weight", "blocks.3.excitation.weight1"])
@pytest.mark.parametrize("has_run", [False, True])
@torch.no_grad()
def test_other_tensors_for_a_call_are_refused(has_run: bool, name: str, trunk: ResNet) -> None:
    """They would be kept for later calls, or those that were kept be taken for them."""
    model, images = with_se(trunk, SEConfig("standard")).eval(), torch.randn(1, 3, 64, 64)
    twin = fuse(model)
    if has_run:
        twin(images)
    others = {name: torch.zeros_like(twin.get_buffer(name))}
    with pytest.raises(RuntimeError, match=f"got another {name.rpartition('.')[2]} for a call"):
        functional_call(twin, others, images)
    assert off(twin, copy.deepcopy(model).double(), images) < 1e-5


@torch.no_grad()
def test_another_classifier_for_a_call_is_taken(trunk: ResNet) -> None:
    """It is called as it is, and nothing of it kept."""
    twin, images = fuse(trunk), torch.randn(1, 3, 64, 64)
    nothing = {name: torch.zeros_like(given) for name, given in twin.named_parameters()}
    assert functional_call(twin, nothing, images).eq(0).all()
    assert twin(images).ne(0).any()


@pytest.mark.parametrize("make", [fold, fuse])
@torch.no_grad()
def test_a_shallow_copy_is_of_its_own(make: Any, trunk: ResNet) -> None:
    """Another state of the copy is none of the twin's."""
    twin, images = make(trunk), torch.randn(1, 3, 64, 64)
    expected = twin(images)
    other = copy.deepcopy(trunk)
    other.layer1[0].conv1.weight.mul_(3)
    copied = copy.copy(twin)
    copied.load_state_dict(other.state_dict())
    assert torch.equal(twin(images), expected)
    assert not torch.equal(copied(images), expected)


@pytest.mark.parametrize("make", [fold, fuse])
@torch.no_grad()
def test_a_state_that_is_assigned_is_copied(make: Any, trunk: ResNet) -> None:
    """Or its owner's writing would be told by the state, and not by what the twin computes."""
    twin, owner = make(trunk), copy.deepcopy(trunk)
    twin.load_state_dict(owner.state_dict(), assign=True)
    owner.conv1.weight.zero_()
    assert twin.state_dict()["conv1.weight"].ne(0).any()
