"""What a trial needs of a GPU's memory: by a made-up allocator, and on a device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.measure import memory
from bench.measure.memory import measure_memory
from bench.trial import Path, Trial, Variant, Workload
from tests.se_models.fused.cuda.stand_in import Device

RUNTIME, RESERVED, POOL = 7, 20, 16
WEIGHTS, BUILDING, TRANSFORMING, ACTIVATIONS = 100, 50, 900, 40
RESNET18_BYTES = 4 * 11_689_512


class Allocator:
    """For the statistics of torch's CUDA allocator: bytes that are told to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._allocated = self._peak = 0
        self.take(RUNTIME)
        for name, value in {
            "memory_allocated": lambda: self._allocated,
            "max_memory_allocated": lambda: self._peak,
            "memory_reserved": lambda: RESERVED,
            "max_memory_reserved": lambda: RESERVED + self._peak,
            "reset_peak_memory_stats": self._forget,
            "empty_cache": lambda: None,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def take(self, count: int) -> None:
        self._allocated += count
        self._peak = max(self._peak, self._allocated)

    def borrow(self, count: int) -> None:
        """Take and give back."""
        self.take(count)
        self._allocated -= count

    def _forget(self) -> None:
        self._peak = self._allocated


class Network(nn.Module):
    """Its activations are freed within each forward; a replay does not come by here."""

    def __init__(self, allocator: Allocator) -> None:
        super().__init__()
        self._allocator = allocator

    def forward(self, x: Tensor) -> Tensor:
        self._allocator.borrow(ACTIVATIONS)
        return 2 * x


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """Streams and graphs, and networks that take memory of a made-up allocator."""
    allocator, device = Allocator(monkeypatch), Device(monkeypatch)

    def build(_trial: Trial) -> nn.Module:
        allocator.take(WEIGHTS)
        allocator.borrow(BUILDING)
        return Network(allocator).eval()

    def transformed(model: nn.Module, transform: str) -> nn.Module:
        allocator.borrow(TRANSFORMING if transform != "none" else 0)
        return model

    def snapshot() -> list[dict[str, object]]:
        own = [{"segment_pool_id": each.pool(), "total_size": POOL} for each in device.graphs]
        return [*own, {"segment_pool_id": (0, 0), "total_size": WEIGHTS}]

    monkeypatch.setattr(memory, "warm_runtime", lambda _device: None)
    monkeypatch.setattr(memory, "build_blank", build)
    monkeypatch.setattr(memory, "build_example", lambda _workload: torch.zeros(1, 4))
    monkeypatch.setattr(memory, "transformed", transformed)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", snapshot)
    return device


@pytest.mark.parametrize(
    ("path", "peak", "pool"),
    [
        ("eager", WEIGHTS + BUILDING, 0),
        ("folded", WEIGHTS + ACTIVATIONS, 0),
        ("cuda_graph", WEIGHTS + ACTIVATIONS, POOL),
        ("fused+cuda_graph", WEIGHTS + ACTIVATIONS, POOL),
    ],
)
def test_the_peak_holds_activations_by_every_path(
    path: str, peak: int, pool: int, device: Device
) -> None:
    """Of graphs too, whose replays allocate nothing; of building it is eager PyTorch's alone."""
    measured = measure_memory(of_resnet18(path))
    assert measured.device_peak_bytes == peak
    assert measured.device_reserved_bytes == RUNTIME + peak
    assert measured.device_pool_bytes == pool
    assert measured.resident_growth_bytes is None
    assert [graph.replays for graph in device.graphs] == ([memory.FORWARDS] if pool else [])


@pytest.mark.gpu
def test_a_graph_needs_about_what_eager_does() -> None:
    """On a device: weights and activations both, and a private pool that only the graph has."""
    eager, graph = (measure_memory(of_resnet18(path)) for path in ("eager", "cuda_graph"))
    for each in (eager, graph):
        assert each.device_peak_bytes is not None
        assert RESNET18_BYTES < each.device_peak_bytes < 4 * RESNET18_BYTES
    assert eager.device_pool_bytes == 0
    assert graph.device_pool_bytes


def of_resnet18(path: str) -> Trial:
    return Trial(Variant("resnet18"), Workload(device="cuda"), Path.named(path))
