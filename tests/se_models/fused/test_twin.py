"""What holds of every twin: it has the state of its model, refuses, and leaves the model alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fold, fuse
from se_models.fused.twin import Twin
from tests.se_models.fused.agreement import off

Make = Callable[..., Twin]

pytestmark = pytest.mark.parametrize("make", [fuse, fold])


def weights(model: nn.Module) -> torch.Tensor:
    """Of a twin's first convolution."""
    found = model.get_submodule("conv1").weight
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_given_model_is_untouched(make: Make, placement: Any, trunk: Any) -> None:
    """Values, modules and output; making the twin and running it read them only."""
    model = with_se(trunk, SEConfig(placement)).eval()
    images = torch.randn(2, 3, 64, 64)
    before, said = copy.deepcopy(model.state_dict()), str(model)
    with torch.no_grad():
        expected = model(images)
        make(model)(images)
        assert torch.equal(model(images), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert str(model) == said
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("keep_state", [True, False])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_later_changes_do_not_reach_it(
    make: Make, placement: Any, keep_state: bool, trunk: Any
) -> None:
    """What the model becomes after, its twin neither computes nor tells."""
    model = with_se(trunk, SEConfig(placement)).eval()
    images = torch.randn(2, 3, 64, 64)
    before = copy.deepcopy(model.state_dict())
    twin = make(model, keep_state=keep_state)
    with torch.no_grad():
        expected = twin(images)
        for tensor in model.state_dict().values():
            tensor.zero_()
        assert torch.equal(twin(images), expected)
    if keep_state:
        assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())


def test_the_state_dict_is_the_models(make: Make, trunk: Any) -> None:
    """The same keys and values come out that went in."""
    model = with_se(trunk, SEConfig()).eval()
    told = make(model).state_dict()
    assert list(told) == list(model.state_dict())
    assert all(torch.equal(told[name], value) for name, value in model.state_dict().items())


def test_a_state_dict_is_rewritten_anew(make: Make, trunk: Any) -> None:
    """Loading one makes the twin of a model that holds it; one that fits not changes nothing."""
    model = with_se(trunk, SEConfig()).eval()
    other = copy.deepcopy(model)
    for tensor in other.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(1.1)
    before = copy.deepcopy(model.state_dict())
    twin = make(model)
    twin.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert off(twin, copy.deepcopy(other).double(), images) < 1e-5
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match="Missing key"):
        twin.load_state_dict({})
    assert off(twin, copy.deepcopy(other).double(), images) < 1e-5


@pytest.mark.parametrize("strict", [True, False])
def test_a_state_dict_of_a_larger_model_is_rewritten_too(
    make: Make, strict: bool, trunk: Any
) -> None:
    """A twin inside another module takes its part of it, and tells what is missing or too much."""
    model = with_se(trunk, SEConfig()).eval()
    other = copy.deepcopy(model)
    for tensor in other.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(1.1)
    outer = nn.Sequential(make(model), nn.ReLU())
    state = nn.Sequential(other, nn.ReLU()).state_dict()
    assert list(outer.state_dict()) == list(state)
    keys = outer.load_state_dict(state, strict=strict)
    assert not keys.missing_keys
    assert not keys.unexpected_keys
    images = torch.randn(2, 3, 64, 64)
    exact = copy.deepcopy(other).double()
    assert off(outer, lambda given: exact(given).relu(), images) < 1e-5
    del state["0.conv1.weight"]
    state["0.nothing"] = torch.zeros(1)
    if strict:
        with pytest.raises(RuntimeError, match=r'(?s)Missing.*"0.conv1.weight".*Unexp.*"0.nothing'):
            outer.load_state_dict(state)
    else:
        keys = outer.load_state_dict(state, strict=False)
        assert (keys.missing_keys, keys.unexpected_keys) == (["0.conv1.weight"], ["0.nothing"])
    state["0.fc.weight"] = torch.zeros(1)
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight"):
        outer.load_state_dict(state)


def test_moving_rewrites_anew(make: Make, trunk: Any) -> None:
    """Into another dtype or layout; by the numbers of the model, not by rounded ones."""
    model = with_se(trunk, SEConfig("prenorm")).eval()
    exact = copy.deepcopy(model).double()
    images = torch.randn(2, 3, 64, 64)
    twin = make(model).to(memory_format=torch.channels_last)
    assert weights(twin).is_contiguous(memory_format=torch.channels_last)
    assert off(twin, exact, images) < 1e-5
    twin.double()
    assert weights(twin).dtype == torch.float64
    assert off(twin.__call__, exact, images.double()) < 1e-12
    assert model.conv1.weight.dtype == torch.float32


def load_by_itself(twin: Twin, state: dict[str, torch.Tensor]) -> None:
    twin.load_state_dict(state)


def load_within_another(twin: Twin, state: dict[str, torch.Tensor]) -> None:
    nn.Sequential(twin).load_state_dict({f"0.{name}": value for name, value in state.items()})


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (load_by_itself, "must be finite once BatchNorm"),
        (load_within_another, "(?s)Error.* in loading state_dict for Sequential.*must be finite"),
    ],
)
def test_a_state_that_is_refused_changes_nothing(
    make: Make, load: Any, told: str, trunk: Any
) -> None:
    """Float16's range is known only once BatchNorm is folded: no weight is replaced before."""
    twin = make(copy.deepcopy(trunk).half())
    images = torch.randn(1, 3, 64, 64).half()
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    with torch.no_grad():
        expected = twin(images)
        state = {**before, "layer1.0.bn1.running_var": torch.zeros(64)}
        state["layer1.0.bn1.weight"] = torch.full((64,), 6e4)
        with pytest.raises((ValueError, RuntimeError), match=told):
            load(twin, state)
        assert torch.equal(twin(images), expected)
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())


def test_a_move_that_is_refused_changes_nothing(make: Make, trunk: Any) -> None:
    """Neither what the twin computes, nor in what dtype, nor what it tells."""
    model = copy.deepcopy(trunk)
    model.layer1[0].bn1.weight.data[0] = 1e8
    twin, images = make(model), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = twin(images)
        with pytest.raises(ValueError, match="must be finite once BatchNorm"):
            twin.half()
        assert torch.equal(twin(images), expected)
    assert weights(twin).dtype == twin.state_dict()["conv1.weight"].dtype == torch.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda twin: pickle.loads(pickle.dumps(twin))])
def test_a_copy_computes_the_same(make: Make, again: Any, trunk: Any) -> None:
    """And tells the same state, be it copied or pickled."""
    twin = make(with_se(trunk, SEConfig("prenorm")).eval())
    copied = again(twin)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(copied(images), twin(images))
    assert list(copied.state_dict()) == list(twin.state_dict())


@pytest.mark.parametrize("placement", PLACEMENTS)
@torch.no_grad()
def test_what_is_not_a_number_stays_so(make: Make, placement: Any, trunk: Any) -> None:
    """Of a pixel or of all, and what overflows: its image has no other logits, the next one has."""
    model = with_se(trunk, SEConfig(placement)).eval()
    twin, sound = make(model), torch.randn(2, 3, 64, 64)
    one_pixel = (0, 0, 5, 5)
    for where, value in (((0,), torch.nan), (one_pixel, torch.nan), ((0,), torch.inf)):
        images = sound.clone()
        images[where] = value
        for batch in (images, images[:1]):
            assert torch.equal(twin(batch).isnan(), model(batch).isnan())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64), (1, 1, 3, 64, 64)])
def test_other_shapes_are_refused(make: Make, shape: Any, trunk: Any) -> None:
    """By the name of the argument."""
    with pytest.raises(ValueError, match=r"x must be \(B, 3, H, W\), got \(.*64, 64\)"):
        make(trunk)(torch.zeros(shape))


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_it_is_traced(make: Make, trunk: Any) -> None:
    """By `torch.jit`, which knows not all of oneDNN's operators; of one image, for several too."""
    for placement in ("standard", "identity"):
        twin = make(with_se(trunk, SEConfig(placement)).eval())
        images = torch.randn(2, 3, 64, 64)
        traced = torch.jit.trace(twin, images[:1], check_trace=False)
        torch.testing.assert_close(traced(images), twin(images), rtol=1e-4, atol=1e-5)


def test_without_state_no_other_tensor_is_held(make: Make, trunk: Any) -> None:
    """What the twin needs not compute it lets go of; asked for it, it says so."""
    model = with_se(trunk, SEConfig()).eval()
    twin = make(model, keep_state=False)
    assert off(twin, copy.deepcopy(model).double(), torch.randn(1, 3, 64, 64)) < 1e-5
    held = {tensor.data_ptr() for tensor in (*twin.parameters(), *twin.buffers())}
    assert held.isdisjoint(tensor.data_ptr() for tensor in model.state_dict().values())
    for asked in (twin.state_dict, twin.double, lambda: twin.load_state_dict({})):
        with pytest.raises(RuntimeError, match="keep_state=False"):
            asked()


def test_a_twin_that_shares_its_trunk_has_one_too(make: Make, trunk: Any) -> None:
    """Called with gradients enabled as well, since it refuses no more than other twins do."""
    shared = with_se(trunk, SEConfig(), share_trunk=True)
    exact = with_se(trunk, SEConfig()).eval()
    exact.load_state_dict(shared.state_dict())
    twin = make(shared)
    images = torch.randn(2, 3, 64, 64)
    assert not twin(images).requires_grad
    assert off(twin, exact.double(), images) < 1e-5


def test_it_is_for_inference_only(make: Make, trunk: Any) -> None:
    """Training mode and gradients are refused, not silently wrong."""
    twin = make(trunk)
    assert not any(module.training for module in twin.modules())
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    with pytest.raises(ValueError, match="inference only"):
        twin.train()
    twin.eval()
    with pytest.raises(ValueError, match="requires_grad must be False"):
        twin.requires_grad_()
    images = torch.randn(1, 3, 64, 64, requires_grad=True)
    with pytest.raises(RuntimeError, match="inference only"):
        twin(images)
    with torch.no_grad():
        twin(images)
    assert not twin(images.detach()).requires_grad


def test_nobody_trains_it_through_a_module_that_holds_it(make: Make, trunk: Any) -> None:
    """Its classifier would learn what no state dict tells, and what a move takes back."""
    holder = torch.nn.Sequential(make(trunk))
    images = torch.randn(1, 3, 64, 64)
    holder.requires_grad_(True)
    with pytest.raises(RuntimeError, match="its fc must not require gradients"):
        holder(images)
    with torch.no_grad():
        holder(images)
    holder.requires_grad_(False)
    assert not holder(images).requires_grad


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_tangents_are_refused(make: Make, trunk: Any) -> None:
    """Forward-mode AD is, by either of its ways in, with gradients disabled and recorded, too."""
    twin, images = make(trunk), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for _ in range(2):
            with pytest.raises(RuntimeError, match="inference only: x must have no tangent"):
                torch.func.jvp(twin, (images,), (images,))
            twin(images)
        with forward_ad.dual_level():
            with pytest.raises(RuntimeError, match="inference only: x must have no tangent"):
                twin(forward_ad.make_dual(images, images))
            twin(images)
