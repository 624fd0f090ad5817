"""A fused twin whose operators are called again computes the same, and asks no module."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torchvision.models import ResNet

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.rewrite import FusedResNet
from tests.se_models.fused.agreement import calls


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


def check(twin: FusedResNet, first: Tensor, second: Tensor) -> None:
    """Record one, and compare what the calls make of the other."""
    twin(first)
    seen, kept = asked(twin), second.clone()
    assert torch.equal(twin(second), twin.fc(twin._features(second).to(second.dtype)))
    assert len(seen) == 1  # by the line above, not by the twin
    assert torch.equal(second, kept)
    del twin.blocks[0].forward


@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_it_is_bit_for_bit_what_the_modules_put_out(
    placement: Any, deep: bool, trunk: ResNet, deep_trunk: ResNet
) -> None:
    """Of other images than those that were recorded, one or several, in either layout."""
    twin = twin_of(deep_trunk if deep else trunk, placement)
    for batch, layout in ((1, torch.contiguous_format), (3, torch.channels_last)):
        images = torch.randn(2 * batch, 3, 64, 64).contiguous(memory_format=layout)
        check(twin, *images.split(batch))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_it_is_where_nothing_is_packed(
    placement: Any, dtype: torch.dtype, trunk: ResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There gates multiply weights, convolutions are PyTorch's, and passes stand alone."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    twin = twin_of(trunk, placement).to(dtype)
    for batch in (1, 3):
        check(twin, *torch.randn(2, batch, 3, 64, 64).to(dtype))


@torch.no_grad()
def test_it_is_with_another_pooling(trunk: ResNet) -> None:
    """For which the last block hands on its map."""
    model = with_se(trunk, SEConfig()).eval()
    model.avgpool, model.fc = nn.AdaptiveAvgPool2d(2), nn.Identity()
    twin = fuse(model.eval())
    images = torch.randn(2, 1, 3, 64, 64)
    twin(images[0])
    features = twin._features(images[1])
    assert torch.equal(twin(images[1]), torch.flatten(twin.avgpool(features), 1))


def hooked(pool: nn.Module) -> nn.Module:
    pool.register_forward_hook(lambda *_: None)
    return pool


@pytest.mark.parametrize(
    "pool", [nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(2), hooked(nn.AdaptiveAvgPool2d(1))]
)
@torch.no_grad()
def test_a_pooling_that_would_not_be_called_is_refused(pool: nn.Module, trunk: ResNet) -> None:
    """In a twin that takes the global mean along; in the model it is called, and so in others."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    expected, own = twin(images), twin.avgpool
    twin.avgpool = pool
    with pytest.raises(RuntimeError, match=r"avgpool must be the global mean .* got Adapt"):
        twin(images)
    for same in (nn.AdaptiveAvgPool2d(1), own):
        twin.avgpool = same
        assert torch.equal(twin(images), expected)
    changed = nn.AdaptiveAvgPool2d(1)
    twin.avgpool = changed
    changed.output_size = 2
    with pytest.raises(RuntimeError, match="avgpool must be the global mean"):
        twin(images)
    model = copy.deepcopy(trunk)
    model.avgpool, model.fc = pool, nn.Identity()
    called = fuse(model.eval())
    means = called(images)
    assert means.shape == (1, 512 * (4 if pool.output_size == 2 else 1))
    called.avgpool = nn.AdaptiveMaxPool2d(1)
    assert torch.equal(called(images), called._features(images).amax(dim=(2, 3)))


@torch.no_grad()
def test_hooks_on_the_models_pooling_are_called(trunk: ResNet) -> None:
    """On the map, since a pooling that somebody looks at is not taken along."""
    model, seen = copy.deepcopy(trunk), []
    model.avgpool.register_forward_pre_hook(lambda _pool, given: seen.append(given[0].shape))
    fuse(model)(torch.randn(1, 3, 64, 64))
    assert seen == [(1, 512, 2, 2)]


def test_no_mode_of_gradients_is_part_of_a_kind(trunk: ResNet) -> None:
    """What one of them has recorded, the others may call again."""
    images = torch.randn(1, 3, 64, 64)
    modes = (torch.inference_mode, torch.no_grad, torch.enable_grad)
    for recorded in modes:
        twin = twin_of(trunk, "pre")
        with recorded():
            expected = twin(images).clone()
        seen = asked(twin)
        for mode in modes:
            with mode():
                assert torch.equal(twin(images), expected)
        assert not seen


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
    for register_on_all in (register_module_forward_hook, register_module_forward_pre_hook):
        with register_on_all(see):
            twin(images)
        assert len(seen) > len(twin.blocks)
        seen.clear()
    twin(images)
    assert not seen


@torch.no_grad()
def test_compiled_parts_run_as_they_are(trunk: ResNet) -> None:
    """A compiler takes no code that is being recorded, and what it made would not be called."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    expected = copy.deepcopy(twin)(images)
    seen: list[str] = []

    def compiled(*arguments: Any) -> Any:
        seen.append("called")
        return block._call_impl(*arguments)

    block = twin.blocks[2]
    block._compiled_call_impl = compiled  # as block.compile() does
    for _ in range(3):
        assert torch.equal(twin(images), expected)
    assert len(seen) == 3


@pytest.mark.parametrize("again", [copy.deepcopy, lambda twin: pickle.loads(pickle.dumps(twin))])
@torch.no_grad()
def test_a_copy_of_a_twin_that_ran_is_its_own(again: Any, trunk: ResNet) -> None:
    """It computes the same, and by its own tensors."""
    twin, images = twin_of(trunk), torch.randn(1, 3, 64, 64)
    expected = twin(images)
    for part in (twin, twin.get_submodule("blocks.0.first")):
        part.compile()
    copied = again(twin)
    for part in copied.modules():
        assert part._compiled_call_impl is None  # or it would call the twin's
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
    assert torch.equal(twin.double().float()(images), fuse(other)(images))


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


@pytest.mark.parametrize("again", [lambda twin: twin, copy.deepcopy])
@torch.no_grad()
def test_as_many_kinds_are_kept_as_are_asked_for(again: Any, trunk: ResNet) -> None:
    """By a copy, too: then as many batches may come in turns, each recorded and packed for once."""
    twin = again(fuse(with_se(trunk, SEConfig()).eval(), kinds=3))
    batches = [torch.randn(batch, 3, 64, 64) for batch in (1, 2, 3)]
    expected = [twin(images) for images in batches]
    seen = asked(twin)
    for images, output in zip(batches, expected, strict=True):
        assert torch.equal(twin(images), output)
    assert not seen


def test_some_kind_is_kept(trunk: ResNet) -> None:
    """Or nothing could be called again."""
    with pytest.raises(ValueError, match="kinds must be a positive integer, got 0"):
        fuse(trunk.eval(), kinds=0)


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
