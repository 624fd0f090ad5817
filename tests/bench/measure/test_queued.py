"""Checks of streams and graphs, on stand-ins that can be held up: what is planted is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.measure import checks, queued
from bench.measure.checks import WrongError
from bench.measure.queued import at_once, captured, stream
from se_models.fused import capture
from tests.se_models.fused.cuda.held_up import HeldUp
from tests.se_models.fused.cuda.stand_in import Device
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]

CPU = torch.device("cpu")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setattr(queued, "REPLAYS", 3)
    monkeypatch.setattr(queued, "FORWARDS", 2)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", list, raising=False)
    device = Device(monkeypatch)
    monkeypatch.setattr(checks, "SIZE", 32)  # convolutions take long where none is packed
    monkeypatch.setattr(queued, "fused_network", fused_once)
    return device


fused_once = cache(checks.fused_network)  # building it takes a second; what checks do is read it


@pytest.fixture(autouse=True)
def held_up(device: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldUp]:
    with HeldUp(device, monkeypatch) as mode:
        yield mode


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], None]:
    """Put a network in the place of the fused one."""

    def put(model: nn.Module) -> None:
        network = model.eval(), torch.ones(2, 3)
        monkeypatch.setattr(queued, "fused_network", lambda _device: network)

    return put


class Forward(nn.Module):
    """A network of one function of its input."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


def test_a_forward_on_another_stream_is_the_same(device: Device, held_up: HeldUp) -> None:
    """It waits for the stream before, and that one for it, when all of it has been launched."""
    assert list(stream(CPU)) == ["another stream, held up, the very same output"]
    assert device.log == ["1 waits for 0", "0 waits for 1"]
    assert held_up.lines[0] > 50


def test_replays_that_are_right_pass(device: Device, held_up: HeldUp) -> None:
    """As many as there are to be, of inputs that change, all of them launched at first."""
    told = list(captured(CPU))
    assert told[0] == "3 replays in line, with changing inputs, the very same outputs"
    (graph,) = device.graphs
    assert graph.replays == 3
    assert held_up.lines[0] > 3 * len(graph.calls)


def test_two_at_once_that_are_right_pass(device: Device, held_up: HeldUp) -> None:
    """Of streams and of graphs; both lines were as long before either went on."""
    assert len(list(at_once(CPU))) == 2
    assert [graph.replays for graph in device.graphs] == [3, 3]
    assert len(set(held_up.lines)) == 1
    assert len(held_up.lines) == 2


@pytest.mark.parametrize("wrong", range(3))
def test_a_launch_on_the_wrong_stream_is_found(wrong: int, device: Device, check: Any) -> None:
    """Any kernel of three, the one that reads the input, too; on an idle device all come right."""
    first: Any = device.current

    def forward(x: Tensor) -> Tensor:
        for place in range(3):
            with torch.cuda.stream(first) if place == wrong else nullcontext():
                x = x + 1
        return x

    check(Forward(forward))
    with pytest.raises(WrongError, match="a forward on another stream differs"):
        list(stream(CPU))


def test_a_counter_that_is_not_reset_is_found(check: Any) -> None:
    """As one by which blocks meet: each replay after the first finds it where that one left it."""
    counter = torch.full((1,), -1.0)  # the stand-in counts once while it captures

    def forward(x: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing():
            return x * counter.add_(1)
        return x * 1

    check(Forward(forward))
    with pytest.raises(WrongError, match="replay 2 of 3 differs from a forward"):
        list(captured(CPU))


def test_an_input_that_is_written_too_early_is_found(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead of the replays that still wait for the one before, which is then lost."""

    def early(model: nn.Module, example: Tensor) -> Any:
        forward = capture(model, example).static(example)

        def replay(x: Tensor) -> Tensor:
            with torch.cuda.stream(torch.cuda.Stream()):
                forward.input.copy_(x)
            return forward().clone()

        return replay

    monkeypatch.setattr(queued, "capture", early)
    check(Forward(lambda x: x * 2))
    with pytest.raises(WrongError, match="replay 1 of 3 differs from a forward"):
        list(captured(CPU))


@pytest.mark.parametrize("of_graphs", [False, True])
def test_memory_that_two_share_is_found(device: Device, check: Any, of_graphs: bool) -> None:
    """Of two streams, or of two graphs alone, each of which is right by itself."""
    shared: dict[bool, Tensor] = {}

    def forward(x: Tensor) -> Tensor:
        if device.capturing != of_graphs:
            return x * 2
        scratch = shared.setdefault(of_graphs, torch.zeros(2, 3))
        scratch.copy_(x)
        return scratch * 2

    check(Forward(forward))
    lines = at_once(CPU)
    if of_graphs:
        assert next(lines).startswith("two streams at once")
    with pytest.raises(WrongError, match=r"forward 1 of \d differs from one alone"):
        next(lines)


def test_a_network_that_shares_nothing_passes(check: Any, device: Device) -> None:
    """By the same checks, however few its operators are."""
    check(Forward(lambda x: x * 2))
    assert [len(list(each(CPU))) for each in (stream, captured, at_once)] == [1, 2, 2]
    assert all(len(graph.calls) == 1 for graph in device.graphs)
