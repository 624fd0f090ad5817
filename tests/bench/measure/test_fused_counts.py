"""Fused twins for the CPU are counted by the operators that run there."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import pytest
import torch

from bench.measure.dispatch import Watch, blank_twin
from bench.measure.liveness import LiveBytes
from bench.measure.traffic import Traffic
from bench.trial import DType, Layout, Workload
from se_models import PLACEMENTS, SEConfig, with_se
from se_models.config import Architecture, Placement
from se_models.fused import fuse, replay
from se_models.fused.pointwise import can_take_along
from tests.bench.measure.test_counts import SMALL, counts_of, trunk

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(
        not can_take_along(torch.zeros(1)), reason="this CPU or torch has no products of matrices"
    ),
]


def test_a_fused_twin_is_counted_by_what_the_cpu_runs() -> None:
    """Convolutions rectify and take tails along, so that nothing is called but them and SE."""
    cases: tuple[tuple[Placement, int], ...] = (("none", 0), ("standard", 16))
    for placement, modules in cases:
        counted = counts_of("resnet50", placement, transform="fused")
        elsewhere = counts_of("resnet50", placement, replace(SMALL, device="cuda"), 16, "fused")
        convolutions, stem, classifier = 53, 2, 1
        assert counted.operators == convolutions + stem + classifier + modules
        assert counted.operators < elsewhere.operators
        assert counted.ideal_bytes < elsewhere.ideal_bytes
        assert counted.macs == elsewhere.macs


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_alive_once(dtype: DType) -> None:
    """Laid out for the CPU or not, as in half precision: there are no plain ones beside them."""
    workload = replace(SMALL, dtype=dtype)
    counted = counts_of("resnet18", workload=workload, transform="fused")
    elsewhere = counts_of("resnet18", workload=replace(workload, device="cuda"), transform="fused")
    largest_map = 64 * 32 * 32 * 4
    assert abs(counted.live_peak_bytes - elsewhere.live_peak_bytes) <= largest_map


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_fewer_bytes_are_alive_than_in_eager_pytorch(
    architecture: Architecture, batch: int, layout: Layout
) -> None:
    """At 224 pixels, in every placement."""
    workload = Workload(batch=batch, layout=layout, threads=1)
    for placement in PLACEMENTS:
        eager, fused = (
            counts_of(architecture, placement, workload, transform=each).live_peak_bytes
            for each in ("none", "fused")
        )
        assert fused < eager, placement


@pytest.mark.parametrize("placement", ["standard", "post"])
def test_what_a_twin_calls_again_without_modules_counts_as_its_modules_do(
    placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode is shown the modules; their calls are the same, and keep a map for longer."""
    model = with_se(trunk("resnet50"), SEConfig(placement), share_trunk=True).eval()
    twin, images = fuse(blank_twin(model, "cpu"), keep_state=False), torch.zeros(1, 3, 64, 64)
    seen = []
    with torch.no_grad():
        twin(images)
        for shows_modules in (repeat(True), repeat(False)):
            monkeypatch.setattr(replay, "is_in_torch_dispatch_mode", shows_modules.__next__)
            traffic, live = Traffic(), LiveBytes((*twin.buffers(), *twin.parameters(), images))
            with Watch(traffic, live):
                twin(images)
            seen.append((traffic.operators, traffic.ideal_bytes, live.peak_bytes))
    modules, replayed = seen
    assert modules[:2] == replayed[:2]
    map_and_means_bytes = 64 * (16 * 16 + 4) * 4
    assert 0 < modules[2] - replayed[2] <= map_and_means_bytes
