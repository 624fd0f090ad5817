"""Kernels are loaded for one GPU after another, and no error of one is an error of fuse()."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Container
from typing import Any

import pytest
import torch

from se_models.fused.cuda import compiler, driver, library
from se_models.fused.cuda.launch import LaunchError
from se_models.fused.cuda.library import Loader
from tests.se_models.fused.threads import at_once

pytestmark = pytest.mark.kernels


class Devices:
    """For `driver.Driver`: notes what is loaded, and raises for devices that are broken."""

    def __init__(self) -> None:
        self.loaded: list[int] = []
        self.broken: dict[int, Exception] = {}
        self.registered: list[Container[int | None]] = []
        self.launched: set[tuple[int, torch.dtype, str]] = set()

    def load(self, device: torch.device) -> None:
        self.loaded.append(device.index)
        time.sleep(0.05)  # other threads come meanwhile
        if device.index in self.broken:
            raise self.broken[device.index]

    def register(self, _operators: object, key: str, *, without: Container[int | None]) -> Any:
        assert key == "CUDA"
        self.registered.append(without)
        return object()


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    made = Devices()
    monkeypatch.setattr(compiler, "missing", lambda: None)
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(driver, "Driver", lambda: made)
    monkeypatch.setattr(library, "register", made.register)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    return made


def cuda(index: int) -> torch.device:
    return torch.device("cuda", index)


def test_a_device_is_loaded_once_and_alone(devices: Devices) -> None:
    """No other GPU of the machine is touched; without an index it is the current one."""
    load = Loader()
    assert load(torch.device("cuda")) is load(cuda(1)) is None
    assert devices.loaded == [1]
    assert load(cuda(0)) is None
    assert devices.loaded == [1, 0]
    assert len(devices.registered) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LaunchError("kernels.cu for sm_50: error"), "kernels.cu for sm_50: error"),
        (RuntimeError("Failure finding libnvrtc.so\n  not in any folder"),
         "RuntimeError: Failure finding libnvrtc.so"),
        (zipfile.BadZipFile("not a zip file"), "BadZipFile: not a zip file"),
        (OSError(), "OSError: "),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_a_reason(error: Exception, told: str, devices: Devices) -> None:
    """In one line, and it is not tried again; torch calls no kernels then."""
    devices.broken[0] = error
    load = Loader()
    assert [load(cuda(0)), load(cuda(0))] == [told, told]
    assert devices.loaded == [0]
    assert devices.registered == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_broken_device_takes_kernels_from_no_other(
    order: tuple[int, int], devices: Devices
) -> None:
    """It alone is left out of what is registered, whichever comes first."""
    devices.broken[0] = RuntimeError("CUDA error: all devices are busy")
    load = Loader()
    reasons = {index: load(cuda(index)) for index in order}
    assert reasons == {0: "RuntimeError: CUDA error: all devices are busy", 1: None}
    (without,) = devices.registered
    assert 0 in without
    assert 1 not in without


def test_what_was_launched_is_told_of_each_device(devices: Devices) -> None:
    """Without an index of the current one."""
    devices.launched = {(0, torch.float16, "tail_run"), (1, torch.float32, "excite<1>")}
    load = Loader()
    assert load.launched(cuda(0)) == {(torch.float16, "tail_run")}
    assert load.launched(torch.device("cuda")) == {(torch.float32, "excite<1>")}


def test_threads_register_once(devices: Devices) -> None:
    """However many fuse at the same time."""
    load = Loader()
    at_once(load, [cuda(0)] * 4)
    assert devices.loaded == [0]
    assert len(devices.registered) == 1
