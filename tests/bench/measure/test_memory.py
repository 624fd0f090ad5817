"""What a trial needs of memory, measured on real models in processes that are fresh."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.measure import resident

pytestmark = pytest.mark.skipif(
    not (resident.STATUS.exists() and os.access(resident.CLEAR_REFS, os.W_OK)),
    reason="there is no /proc whose peak can be reset",
)

# The growth of a ResNet-50 at 64 px in each dtype named, by one process that forks for each.
MEASURE = """
import sys
from bench.measure.memory import measure_memory
from bench.trial import Trial, Variant, Workload

for dtype in sys.argv[1:]:
    trial = Trial(Variant("resnet50"), Workload(dtype=dtype, size=64, threads=2))
    memory = measure_memory(trial)
    assert memory.trial == trial and memory.device_peak_bytes is None
    print(memory.resident_growth_bytes)
"""
PARAMS = 25_557_032


def test_growth_is_that_of_the_workloads_own_dtype() -> None:
    """A network in half precision never had weights in float32 that count as its peak."""
    command = [sys.executable, "-c", MEASURE, "float32", "bfloat16"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    single, half = (int(line) for line in done.stdout.splitlines())
    assert 4 * PARAMS < single < 4.8 * PARAMS
    assert 2 * PARAMS < half < 2.8 * PARAMS
