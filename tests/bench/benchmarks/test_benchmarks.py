"""The suite's own benchmarks run, are grouped, and compare each placement with the plain one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.benchmarks import device_clock
from bench.benchmarks.device_clock import LOOK_S, DeviceClock

ROOT = Path(__file__).parents[3]


def benchmarks(*flags: str) -> str:
    """What pytest says of the suite's benchmarks."""
    command = [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", "-q", *flags]
    # pytest-benchmark measures nothing in a worker of xdist's, which this one may be.
    own = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    own["OMP_NUM_THREADS"] = "1"  # several, beside other tests, would wait for each other spinning
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_placement_is_measured_by_every_path() -> None:
    """Names are ASCII, and say what is measured."""
    names = benchmarks("--collect-only").split("\n\n")[0].splitlines()
    assert all(name.isascii() for name in names)
    models = [name for name in names if "::test_model[" in name]
    blocks = [name for name in names if "::test_block[" in name]
    assert len(models) == 7 * 2 * 3 * (1 + torch.cuda.is_available())
    assert len(blocks) == 7 * 2 * 2 * (1 + torch.cuda.is_available())


def test_rounds_compare_a_placement_with_the_plain_block(tmp_path: Path) -> None:
    """In a group of its own, as pytest-benchmark's JSON has it."""
    file = tmp_path / "benchmarks.json"
    said = benchmarks(
        "--benchmark-interleave", "--benchmark-max-time=0.1", "--benchmark-min-rounds=3",
        f"--benchmark-json={file}", "-k", "test_block and cpu and resnet18 and eager and "
        "(none or standard or inner)",
    )  # fmt: skip
    assert "overhead against a baseline" in said
    entries = {each["params"]["placement"]: each
               for each in json.loads(file.read_text())["benchmarks"]}  # fmt: skip
    assert set(entries) == {"none", "standard", "inner"}
    assert {each["group"] for each in entries.values()} == {"test_block cpu resnet18 eager"}
    plain = "test_block[cpu-none-resnet18-eager]"
    baselines = {name: entry["extra_info"].get("baseline") for name, entry in entries.items()}
    assert baselines == {"none": None, "standard": plain, "inner": plain}


@pytest.mark.slow
def test_all_of_them_run() -> None:
    """Once each."""
    assert " failed" not in benchmarks("--benchmark-disable")


def test_a_device_is_timed_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look before and one after differ by what the events tell, whatever the host took."""
    ran = []

    class Events:
        def __init__(self, forwards: int) -> None:
            assert forwards == 1

        def time(self, forward: Callable[[], object]) -> float:
            forward()
            return 0.25

    monkeypatch.setattr(device_clock, "CudaEventTimer", Events)
    clock = DeviceClock()

    def forward() -> torch.Tensor:
        ran.append(True)
        return torch.empty(0)

    timed = clock.timed(forward)
    assert clock() < clock()  # pytest-benchmark waits until a timer goes on
    before = clock()
    timed()
    assert clock() - before == pytest.approx(0.25 + LOOK_S)
    assert ran == [True]
