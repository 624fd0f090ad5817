"""A visit on a GPU, by stand-in events: what host and device take is told apart, arm by arm."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.grid import Grid, plan_blocks
from bench.measure import subject, timers, visit
from bench.measure.paths import Forward
from bench.measure.timers import CudaEventTimer, WallTimer
from bench.measure.visit import Visit
from bench.protocol import OpenBlock
from bench.record import Block
from tests.bench.events import FakeEvent

(BLOCK,) = plan_blocks(Grid(placements=("standard",), reductions=(4, 16)).trials())
TIMERS = {"cuda": lambda: CudaEventTimer(2), "cpu": WallTimer}


class Slow:
    """An executor whose n-th forward takes n ms of the device and 10 n of the host, or more."""

    def __init__(self) -> None:
        self.host_ms = 0.0
        self._prepared = 0

    def prepare(self, _model: nn.Module, example: Tensor) -> Forward:
        self._prepared += 1
        own, calls = self._prepared, count()

        def forward() -> Tensor:
            # Of three calls one is disturbed: not all tries are, of either.
            disturbed = 100 * (next(calls) % 3 == 0)
            FakeEvent.clock_ms += own + disturbed
            self.host_ms += 10 * own + disturbed
            return example

        return forward


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """What every arm is prepared by, in the place of a network on a GPU."""
    executor = Slow()
    for name, value in {
        "keep_freed_memory": lambda: None,
        "unsupported": lambda _trial: None,
        "executor_of": lambda *_given: executor,
        "disagreement": lambda *_given: 0.0,
        "tolerance": lambda *_given: 1.0,
    }.items():
        monkeypatch.setattr(visit, name, value)
    monkeypatch.setattr(subject, "build", lambda *_given: (nn.Identity(), torch.zeros(1)))
    clock = SimpleNamespace(perf_counter=lambda: executor.host_ms / 1e3)
    monkeypatch.setattr(timers, "time", clock)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda _cycles: None)
    return executor


def opened(device: str, monkeypatch: pytest.MonkeyPatch) -> Block:
    monkeypatch.setattr(visit, "timer_for", lambda *_given: TIMERS[device]())
    references: Any = (object(),) * len(BLOCK.arms)
    command = OpenBlock(BLOCK.key, "visit", 7, BLOCK.arms, references)
    *_, block = Visit(command, subject.Trunks()).open("worker")
    assert isinstance(block, Block)
    assert block.arms == BLOCK.arms
    return block


@pytest.mark.usefixtures("slow")
def test_host_and_device_are_told_apart_by_the_least_of_some_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each arm for one forward, in seconds, in the order of the arms."""
    block = opened("cuda", monkeypatch)
    arms = range(1, len(BLOCK.arms) + 1)
    assert block.forwards_per_sample == 2
    assert block.arm_host_s == pytest.approx([each * 1e-2 for each in arms])
    assert block.arm_device_s == pytest.approx([each * 1e-3 for each in arms])


@pytest.mark.usefixtures("slow")
def test_on_the_cpu_there_is_nothing_to_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one clock there is tells both together."""
    block = opened("cpu", monkeypatch)
    assert block.arm_host_s is None
    assert block.arm_device_s is None
