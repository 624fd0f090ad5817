"""Clocks: the wall's, and CUDA's on stand-in events."""

from __future__ import annotations

import time

import pytest
import torch

from bench.measure.timers import CUDA_BATCH_S, CudaEventTimer, WallTimer, timer_for
from tests.bench.events import FakeEvent


def test_the_wall_timer_times_one_forward() -> None:
    """A forward that sleeps takes at least as long as it sleeps."""
    calls: list[int] = []

    def forward() -> torch.Tensor:
        calls.append(1)
        time.sleep(0.02)
        return torch.empty(0)

    assert WallTimer().time(forward) >= 0.02
    assert len(calls) == 1


@pytest.mark.parametrize(("forward_ms", "forwards"), [(0.1, 20), (1.0, 2), (30.0, 1)])
def test_cuda_events_stand_around_a_batch_of_forwards(
    monkeypatch: pytest.MonkeyPatch, forward_ms: float, forwards: int
) -> None:
    """Short forwards are batched until the batch is long enough; the time is of one."""
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)

    def forward() -> torch.Tensor:
        FakeEvent.clock_ms += forward_ms
        return torch.empty(0)

    timer = timer_for("cuda", forward)
    assert isinstance(timer, CudaEventTimer)
    assert timer.forwards == forwards
    assert timer.forwards * forward_ms * 1e-3 >= CUDA_BATCH_S * 0.99
    assert timer.time(forward) == pytest.approx(forward_ms * 1e-3)


def test_host_and_device_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launching is timed on the idle device, and the device with all launches waiting."""
    log: list[str] = []
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: log.append(f"held up {cycles > 1e6}"))

    def forward() -> torch.Tensor:
        log.append("launch")
        time.sleep(0.01)  # a slow host
        FakeEvent.clock_ms += 1
        return torch.empty(0)

    timer = CudaEventTimer(2)
    assert timer.host_s(forward) >= 0.01
    assert log == ["synchronize", "launch", "launch", "synchronize"]
    log.clear()
    assert timer.device_s(forward) == pytest.approx(1e-3)
    assert log[4:] == ["held up True", "launch", "launch"]


@pytest.mark.gpu
def test_cuda_events_agree_with_the_wall_clock() -> None:
    """On a device, events and a synchronised wall clock agree within a fifth."""
    matrix = torch.randn(4096, 4096, device="cuda")

    def forward() -> torch.Tensor:
        return matrix @ matrix

    timer = timer_for("cuda", forward)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(50):
        forward()
    torch.cuda.synchronize()
    wall_s = (time.perf_counter() - start) / 50
    assert timer.time(forward) == pytest.approx(wall_s, rel=0.2)
