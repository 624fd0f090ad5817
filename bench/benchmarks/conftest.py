"""What all benchmarks share: devices, groups, and a forward handed to pytest-benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from bench.benchmarks.device_clock import DeviceClock
from bench.cpus import default_threads
from bench.environment import has_cuda
from bench.measure.paths import Forward
from bench.trial import Device

DEVICES: tuple[Device, ...] = ("cpu", "cuda") if has_cuda() else ("cpu",)
WARM_UP = 3

_clock = DeviceClock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", DEVICES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group what differs in SE alone, and time devices by their own clock."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) else {}
        if "placement" in parameters:
            rest = (str(value) for name, value in parameters.items() if name != "placement")
            own = {"timer": _clock} if parameters["device"] == "cuda" else {}
            group = " ".join((item.originalname, *rest))  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.benchmark(group=group, **own))


@pytest.fixture(scope="session", autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(default_threads())
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(
    benchmark: Any, device: Device, benchmark_baseline: Callable[[str], None],
    request: pytest.FixtureRequest,
) -> Callable[[Forward], None]:  # fmt: skip
    """Time a forward, warm and without gradients, against that of the plain one."""

    def timed(forward: Forward) -> None:
        placement = request.getfixturevalue("placement")
        if placement != "none":
            benchmark_baseline(request.node.name.replace(placement, "none"))
        with torch.inference_mode():
            for _ in range(WARM_UP):
                forward()
            benchmark(_clock.timed(forward) if device == "cuda" else forward)

    return timed
