"""What a trial needs of memory, measured on real models in processes that are fresh."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.measure import resident
from bench.measure.paths import unsupported
from bench.trial import Path, Trial, Variant, Workload

pytestmark = pytest.mark.skipif(
    not (resident.STATUS.exists() and os.access(resident.CLEAR_REFS, os.W_OK)),
    reason="there is no /proc whose peak can be reset",
)

# The growth of a network at 64 px in each dtype named, by one process that forks for each.
MEASURE = """
import sys
from bench.measure.memory import measure_memory
from bench.measure.paths import unsupported
from bench.trial import Path, Trial, Variant, Workload

architecture, path, *dtypes = sys.argv[1:]
for dtype in dtypes:
    workload = Workload(dtype=dtype, size=64, threads=2)
    trial = Trial(Variant(architecture), workload, Path.named(path))
    assert unsupported(trial) is None  # as a worker asks first
    memory = measure_memory(trial)
    assert memory.trial == trial and memory.device_peak_bytes is None
    print(memory.resident_growth_bytes)
"""
RESNET18, RESNET50 = 11_689_512, 25_557_032


def growths(*arguments: str) -> list[int]:
    command = [sys.executable, "-c", MEASURE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, timeout=280)
    return [int(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_growth_is_that_of_the_workloads_own_dtype() -> None:
    """A network in half precision never had weights in float32 that count as its peak."""
    single, half = growths("resnet50", "eager", "float32", "bfloat16")
    assert 4 * RESNET50 < single < 4.8 * RESNET50
    assert 2 * RESNET50 < half < 3.5 * RESNET50  # scratch varies; weights in float32 would be 4


@pytest.mark.parametrize(
    ("name", "copies"),
    [
        ("fused", 1),
        pytest.param("onnxruntime", 1, marks=pytest.mark.slow),
        # It packs its weights, and keeps them as they were.
        pytest.param("openvino", 2, marks=pytest.mark.slow),
        # Beside the model that it was compiled from.
        pytest.param("compile_freezing", 2, marks=pytest.mark.slow),
    ],
)
def test_growth_is_that_of_running_what_was_prepared(name: str, copies: int) -> None:
    """Some copies of the weights and half of one for all else: no exporter and no compiler."""
    path = Path.named(name)
    reason = unsupported(Trial(Variant("resnet18"), Workload(), path))
    if reason is not None:
        pytest.skip(reason)
    (growth,) = growths("resnet18", name, "float32")
    assert copies * 4 * RESNET18 < growth < (copies + 0.5) * 4 * RESNET18
