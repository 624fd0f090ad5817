"""A forward that is called again as operators computes the same, and asks no module."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torchvision.models import ResNet

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.packed import KINDS
from se_models.fused.replay import Replays
from se_models.fused.rewrite import FusedResNet
from tests.se_models.fused.agreement import calls


class Counted:
    """A function, and how often it ran."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.runs = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.runs += 1
        return self.function(x)


def twin_of(trunk: ResNet, placement: Any = "standard") -> FusedResNet:
    return fuse(with_se(trunk, SEConfig(placement)).eval())


def asked(twin: FusedResNet) -> list[str]:
    """Grows by a name whenever the twin asks its first block."""
    seen: list[str] = []
    forward = twin.blocks[0].forward

    def see(given: Any) -> Any:
        seen.append("block")
        return forward(given)

    twin.blocks[0].forward = see
    return seen


@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_it_is_bit_for_bit_what_the_modules_put_out(
    placement: Any, deep: bool, trunk: ResNet, deep_trunk: ResNet
) -> None:
    """Of other images than those that were recorded, one or several, in either layout."""
    twin = twin_of(deep_trunk if deep else trunk, placement)
    for batch, layout in ((1, torch.contiguous_format), (3, torch.channels_last)):
        first, second = torch.randn(2, batch, 3, 64, 64)
        first, second = (x.contiguous(memory_format=layout) for x in (first, second))
        twin(first)
        seen, kept = asked(twin), second.clone()
        assert torch.equal(twin(second), twin.fc(twin._features(second)))
        assert len(seen) == 1  # by the line above, not by the twin
        assert torch.equal(second, kept)
        del twin.blocks[0].forward


@torch.no_grad()
def test_outputs_are_of_their_own(trunk: ResNet) -> None:
    """What one call returned the next does not change."""
    twin = twin_of(trunk, "post")
    twin.fc = nn.Identity()  # which puts out what it is given
    first, second = torch.randn(2, 2, 3, 64, 64)
    twin(first)
    output = twin(first)
    kept = output.clone()
    assert not torch.equal(twin(second), kept)
    assert torch.equal(output, kept)


@torch.no_grad()
def test_a_mode_sees_all_operators(trunk: ResNet) -> None:
    """Whoever counts them is given what the modules call, by the modules, recorded or not."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    calls(twin, images)  # which lays weights out
    before = calls(twin, images)
    twin(images)
    seen = asked(twin)
    assert calls(twin, images) == before
    assert len(seen) == 1


@torch.no_grad()
def test_hooks_are_called(trunk: ResNet) -> None:
    """On any part, ahead of it or behind it, or on all modules; recorded or not."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    expected, seen = twin(images), []

    def see(*_: object) -> None:
        seen.append("called")

    block, first = twin.blocks[3], twin.get_submodule("blocks.3.first")
    for register in (block.register_forward_hook, first.register_forward_pre_hook):
        with register(see):
            assert torch.equal(twin(images), expected)
        assert len(seen) == 1
        seen.clear()
    with register_module_forward_hook(see):
        twin(images)
    assert len(seen) > len(twin.blocks)
    seen.clear()
    twin(images)
    assert not seen


@pytest.mark.parametrize("again", [copy.deepcopy, lambda twin: pickle.loads(pickle.dumps(twin))])
@torch.no_grad()
def test_a_copy_of_a_twin_that_ran_is_its_own(again: Any, trunk: ResNet) -> None:
    """It computes the same, and by its own tensors."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    expected = twin(images)
    copied = again(twin)
    for tensor in (*twin.buffers(), *twin.parameters()):
        tensor.zero_()
    assert torch.equal(copied(images), expected)


@torch.no_grad()
def test_another_state_is_recorded_anew(trunk: ResNet) -> None:
    """And so is the twin that was moved."""
    model = with_se(trunk, SEConfig()).eval()
    twin, images = fuse(model), torch.randn(1, 3, 64, 64)
    before = twin(images)
    state = {name: value * 1.1 for name, value in model.state_dict().items()}
    twin.load_state_dict(state)
    other = copy.deepcopy(model)
    other.load_state_dict(state)
    assert torch.equal(twin(images), fuse(other)(images))
    assert not torch.equal(twin(images), before)
    assert twin.double()(images.double()).dtype == torch.float64


@torch.no_grad()
def test_autocast_is_not_recorded(trunk: ResNet) -> None:
    """Neither under it nor for it."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    seen = asked(twin)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = twin(images)
        twin(images)
    assert len(seen) == 2
    assert twin(images).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(twin(images), narrow)


def test_kinds_are_recorded_once() -> None:
    """The latest few are kept; a kind is a shape, strides and a dtype."""
    function = Counted(lambda x: x + 1)
    replayed = partial(Replays(), function)
    x = torch.zeros(2, 3, 4, 4)
    kinds = [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.double(),
        torch.zeros(1, 3, 4, 4),
    ]
    for runs, kind in enumerate(kinds, 1):
        for value in (0, 5):
            assert torch.equal(replayed(kind + value), kind + value + 1)
        assert function.runs == runs
    for kind in kinds[-KINDS:]:
        replayed(kind)
    assert function.runs == len(kinds)
    replayed(kinds[-KINDS - 1])
    assert function.runs == len(kinds) + 1


@pytest.mark.parametrize(
    "x", [torch.zeros(2, device="meta"), nn.Parameter(torch.zeros(2))], ids=["meta", "parameter"]
)
def test_other_tensors_are_not_recorded(x: Tensor) -> None:
    """Those without values, and those of a class of their own."""
    function = Counted(lambda x: x + 1)
    replayed = partial(Replays(), function)
    replayed(x)
    replayed(x)
    assert function.runs == 2


def test_what_does_not_follow_from_the_input_is_made_once() -> None:
    """Such as weights that are laid out."""
    weight = torch.ones(3)
    replayed = partial(Replays(), lambda x: x * (weight + 1))
    replayed(torch.ones(3))
    weight += 1
    assert replayed(torch.ones(3)).tolist() == [2, 2, 2]


def test_several_results_changes_in_place_and_options_are_called_again() -> None:
    """Operators that return several tensors, one that they were given, none, or take keywords."""

    def function(x: Tensor) -> Tensor:
        values, places = nn.functional.max_pool2d(x, 2, return_indices=True)
        values.add_(1)
        return values * 2 + places.sum(dim=(2, 3), keepdim=True, dtype=torch.float64)

    replayed = partial(Replays(), function)
    for _ in range(3):
        x = torch.randn(1, 2, 4, 4)
        assert torch.equal(replayed(x), function(x))


def test_tensors_in_lists_are_refused() -> None:
    """Rather than kept as they were."""
    with pytest.raises(AssertionError, match="cat"):
        Replays()(lambda x: torch.cat([x, x]), torch.zeros(2))


@torch.no_grad()
def test_a_tensor_lives_no_longer_than_it_is_taken(trunk: ResNet) -> None:
    """Every one but the output dies, at the last call that takes or makes it."""
    twin = twin_of(trunk, "pre")
    for _ in range(2):
        twin(torch.randn(1, 3, 64, 64))
    (recorded,) = twin._replays._kept.values()
    died: set[int] = set()
    for call in recorded.calls:
        taken = {number for _, number in call.places}
        assert not died & taken
        assert not died & set(call.dead)
        assert set(call.dead) <= taken | set(call.results)
        assert all(call.arguments[place] is None for place, _ in call.places)
        died |= set(call.dead)
    assert died == set(range(recorded.tensors)) - {recorded.output}


@torch.no_grad()
def test_a_twin_that_ran_is_let_go_of_at_once(trunk: ResNet) -> None:
    """Without waiting for the garbage collector: weights are many bytes."""
    twin = twin_of(trunk)
    twin(torch.randn(1, 3, 64, 64))
    alive = weakref.ref(twin)
    gc.disable()
    try:
        del twin
        assert alive() is None
    finally:
        gc.enable()
