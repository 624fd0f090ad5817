"""capture(model, example) keeps to what a CUDA graph can do, on a stand-in for torch's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from se_models import SEConfig, with_se
from se_models.fused import capture, fuse
from se_models.fused.cuda.arrivals import COUNTERS, Arrivals, arrivals
from se_models.fused.graph import WARM_UPS, CapturedForward
from tests.se_models.fused.cuda.stand_in import Device

pytestmark = pytest.mark.kernels


class Model(nn.Module):
    """Two operators, one of them in place; notes on which stream it runs, and its counters."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.counters: list[Tensor] = []
        self._device = device

    def forward(self, x: Tensor) -> Tensor:
        self._device.log.append(f"forward on {self._device.current.cuda_stream}")
        self.counters.append(arrivals(x.device))
        return (x * self.weight).relu_()


@pytest.fixture
def model(device: Device) -> Model:
    return Model(device).eval()


def test_replays_compute_what_the_model_does(trunk: Any, device: Device) -> None:
    """A fused SE-ResNet-18: the same values for each of many inputs, from one graph."""
    fused = fuse(with_se(trunk, SEConfig("standard")).eval())
    captured = capture(fused, torch.randn(1, 3, 33, 33))
    for _ in range(5):
        images = torch.randn(1, 3, 33, 33)
        with torch.no_grad():
            assert torch.equal(captured(images), fused(images))
    (graph,) = device.graphs
    assert graph.replays == 5


def test_two_hundred_inputs_are_two_hundred_outputs(model: Model, device: Device) -> None:
    """None is that of an earlier one."""
    captured = capture(model, torch.zeros(1, 4))
    for number in range(200):
        x = torch.full((1, 4), number - 100.0)
        assert torch.equal(captured(x), (2 * x).relu())
    assert device.graphs[0].replays == 200


def test_warm_up_and_capture_have_a_stream_of_their_own(model: Model, device: Device) -> None:
    """On the model's device, which torch's own for captures need not be; it waits, and is awaited.

    Each capture makes one.
    """
    for _ in range(2):
        capture(model, torch.zeros(1, 4))
    assert device.log == [
        line
        for own in (1, 2)
        for line in (
            f"{own} waits for 0", *[f"forward on {own}"] * WARM_UPS, f"0 waits for {own}",
            f"forward on {own}",
        )
    ]  # fmt: skip


def test_an_output_is_a_copy_unless_it_is_to_be_static(model: Model) -> None:
    """The static one is overwritten by the next call, as its documentation says."""
    one, two = torch.full((1, 4), 1.0), torch.full((1, 4), 2.0)
    copied = capture(model, one)
    first = copied(one)
    copied(two)
    assert torch.equal(first, 2 * one)
    static = capture(model, one, static_output=True)
    first = static(one)
    assert static(two) is first
    assert torch.equal(first, 2 * two)


def test_weights_are_read_where_they_lay(model: Model) -> None:
    """New values in their place show."""
    captured = capture(model, torch.ones(1, 4))
    with torch.no_grad():
        model.weight.fill_(3.0)
    assert torch.equal(captured(torch.ones(1, 4)), torch.full((1, 4), 3.0))


def test_weights_that_are_replaced_are_kept(model: Model) -> None:
    """Replays go on reading those that were there, and nothing else that is put where they lay."""
    captured = capture(model, torch.ones(1, 4))
    model.weight.data = torch.tensor(3.0)
    assert torch.equal(captured(torch.ones(1, 4)), torch.full((1, 4), 2.0))


def test_a_static_forward_outlives_its_model(device: Device) -> None:
    """Whoever measures it keeps nothing else."""
    x = torch.ones(1, 4)
    layer = nn.Linear(4, 4).eval()
    with torch.no_grad():
        expected = layer(x)
    forward = capture(layer, x).static(x)
    del layer
    assert torch.equal(forward(), expected)


def test_weights_of_a_twin_that_loads_a_state_are_kept(trunk: Any, device: Device) -> None:
    """As are those of one that moves: all its tensors are new ones then."""
    fused = fuse(with_se(trunk, SEConfig("standard")).eval())
    images = torch.randn(1, 3, 33, 33)
    captured = capture(fused, images)
    expected = captured(images)
    fused.load_state_dict({name: value + 1 for name, value in fused.state_dict().items()})
    assert torch.equal(captured(images), expected)


def test_autocast_is_captured_with_its_casts(device: Device) -> None:
    """Of weights too: what it keeps of those ends with it, and may be older than their values."""
    layer, images = nn.Linear(4, 4).eval(), torch.randn(1, 4)
    captured = CapturedForward(layer)
    for factor in (1, 2):
        with torch.no_grad():
            layer.weight.mul_(factor)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(captured(images), layer(images))
    assert len(device.graphs) == 1


def test_a_model_that_goes_into_training_is_refused(model: Model) -> None:
    """A replay would go on as in eval mode; back in that it serves again."""
    captured = capture(model, torch.ones(1, 4))
    model.train()
    with pytest.raises(ValueError, match="model must be in eval mode, got one in training mode"):
        captured(torch.ones(1, 4))
    model.eval()
    assert torch.equal(captured(torch.ones(1, 4)), torch.full((1, 4), 2.0))


@pytest.mark.parametrize("first", [True, False])
def test_inference_mode_may_come_and_go(first: bool, model: Model) -> None:
    """Between a capture and its replays."""
    captured = CapturedForward(model)
    for mode in (first, not first):
        with torch.inference_mode(mode):
            assert torch.equal(captured(torch.ones(1, 4)), torch.full((1, 4), 2.0))


def test_gradients_end_at_a_graph(model: Model) -> None:
    """Neither its input nor its output has any to do with them."""
    output = capture(model, torch.ones(1, 4))(torch.ones(1, 4, requires_grad=True))
    assert not output.requires_grad


def test_what_waits_for_the_device_cannot_be_captured(device: Device) -> None:
    """The error is that of the capture, nothing is kept, and what follows runs where it did."""

    class Waits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sum().item()

    captured = CapturedForward(Waits().eval())
    before = device.current
    with pytest.raises(RuntimeError, match="a previous error during capture"):
        captured(torch.ones(1, 4))
    assert captured._graphs.values() == []
    assert device.current is before


def test_a_capture_that_fails_costs_no_other(model: Model, device: Device) -> None:
    """The graph that would have made room for it is still there."""
    captured = CapturedForward(model, graphs=1)
    kept = captured.static(torch.ones(1, 4))

    def refuse(_model: nn.Module, _inputs: object) -> None:
        if device.capturing:
            raise RuntimeError("no memory")

    model.register_forward_pre_hook(refuse)
    with pytest.raises(RuntimeError, match="no memory"):
        captured(torch.ones(2, 4))
    assert captured.static(torch.ones(1, 4)) is kept


def test_a_graph_has_counters_of_its_own(model: Model) -> None:
    """Graphs may be replayed at once, on any streams; warm-up counts in those of its stream."""
    forwards = [capture(model, torch.zeros(1, 4)).static(torch.zeros(1, 4)) for _ in range(2)]
    captured = [model.counters[WARM_UPS], model.counters[2 * WARM_UPS + 1]]
    kept = [each.data_ptr() for forward in forwards for each in forward.arrivals]
    assert [each.data_ptr() for each in captured] == kept
    assert len({each.data_ptr() for each in model.counters}) == 4
    assert arrivals._local.of_graph is None


def test_each_stream_of_a_graph_has_counters_of_its_own(device: Device) -> None:
    """Two twins side by side count at the same time; the graph keeps both, and finds them at 0."""
    beside, counters = device._stream(), []

    class Forks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for stream in (device.current, beside):
                with torch.cuda.stream(stream):  # type: ignore[arg-type]
                    counters.append(arrivals(x.device))
            return x + 1

    forward = capture(Forks().eval(), torch.ones(1, 4)).static(torch.ones(1, 4))
    captured = counters[2 * WARM_UPS :]
    assert len({each.data_ptr() for each in captured}) == 2
    assert [each.data_ptr() for each in captured] == [each.data_ptr() for each in forward.arrivals]
    captured[1].fill_(1)  # as garbage would be that lay there
    forward()
    assert not any(each.any() for each in captured)


def test_streams_do_not_share_counters(device: Device) -> None:
    """Of one stream they are the same each time; of somebody else's capture new ones."""
    ours = Arrivals()
    cpu = torch.device("cpu")
    first = ours(cpu)
    assert ours(cpu) is first
    device.current = device._stream()
    second = ours(cpu)
    device.capturing = True
    third = ours(cpu)
    assert len({each.data_ptr() for each in (first, second, third)}) == 3
    assert {(each.numel(), int(each.sum())) for each in (first, second, third)} == {(COUNTERS, 0)}


def test_the_pools_bytes_are_told(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the graphs' own segments alone."""
    captured = capture(model, torch.zeros(1, 4))
    pool = captured.static(torch.zeros(1, 4)).graph.pool()
    segments = [
        {"segment_pool_id": pool, "total_size": 2 << 20},
        {"segment_pool_id": (0, 0), "total_size": 20 << 20},
        {"segment_pool_id": pool, "total_size": 1 << 20},
    ]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    assert captured.pool_bytes == 3 << 20


def test_what_cannot_be_captured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in training mode, a cache of no graphs, an input on another device."""
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="model must be in eval mode"):
        CapturedForward(layer.train())
    with pytest.raises(ValueError, match="graphs must be a positive integer, got 0"):
        CapturedForward(layer.eval(), graphs=0)
    with pytest.raises(ValueError, match="x must be on a CUDA device, got cpu"):
        capture(copy.deepcopy(layer).eval(), torch.ones(1, 2))
