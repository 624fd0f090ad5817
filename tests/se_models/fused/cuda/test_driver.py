"""What the driver is asked, and what becomes of its answers, on a stand-in for its bindings."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from bench.documents.sources import ROOT
from se_models.fused.cuda import compiler, driver, library
from se_models.fused.cuda.compiler import SCALARS, Compiled
from se_models.fused.cuda.driver import Driver
from se_models.fused.cuda.launch import THREADS, Launch, LaunchError
from se_models.fused.cuda.maps import DTYPES
from tests.timing_out import hanging

# Some calls of the bindings wait for ever where there is no driver.
pytestmark = [pytest.mark.kernels, hanging(60)]

PTX = ".visible .entry lowered(\n.param .u64 .ptr .align 1 lowered_0,\n.param .u32 lowered_1\n)\n{}"
# Of the first device; those of others follow.
STREAM = 77


class Status(SimpleNamespace):
    """As the bindings' enumerations: 0 is success."""


SUCCESS = Status(value=0, name="CUDA_SUCCESS")
REFUSED = Status(value=1, name="CUDA_ERROR_INVALID_VALUE")
UNBOUND = Status(value=201, name="CUDA_ERROR_INVALID_CONTEXT")


class Bindings(ModuleType):
    """For ``cuda.bindings.driver``, and for torch's current device.

    As torch's, changing to the device that is current makes no context so.

    Attributes:
        device: the current one; at first that of `launch_of`'s tensors on the CPU, which has none.
        switches: devices that were made current, each for a while.
        contexts: for each launch the context that was current.
        loaded: the same for each module that was loaded.
    """

    def __init__(self) -> None:
        super().__init__("cuda.bindings.driver")
        self.answer = SUCCESS
        self.asked: list[tuple[Any, ...]] = []
        self.device: int | None = None
        self.switches: list[int | None] = []
        self.contexts: list[str] = []
        self.loaded: list[str] = []
        self._context = "none"

    @contextmanager
    def switched(self, device: torch.device | int | None) -> Iterator[None]:
        before, index = self.device, device.index if isinstance(device, torch.device) else device
        self.switches.append(index)
        self._change(index)
        yield
        self._change(before)

    def _change(self, device: int | None) -> None:
        if device != self.device:
            self.device, self._context = device, f"of {device}"

    def current_stream(self) -> SimpleNamespace:
        return SimpleNamespace(cuda_stream=STREAM + (self.device or 0))

    def cuModuleLoadData(self, image: bytes) -> tuple[Any, ...]:  # noqa: N802
        if self._context == "none":
            return (UNBOUND,)
        self.loaded.append(self._context)
        return self.answer, ("module", image)

    def cuModuleGetFunction(self, module: Any, name: bytes) -> tuple[Any, ...]:  # noqa: N802
        return self.answer, (*module, name)

    def cuDeviceGet(self, ordinal: int | None) -> tuple[Any, ...]:  # noqa: N802
        return self.answer, ordinal

    def cuDevicePrimaryCtxRetain(self, device: int | None) -> tuple[Any, ...]:  # noqa: N802
        return self.answer, f"of {device}"

    def cuCtxSetCurrent(self, context: str) -> tuple[Any, ...]:  # noqa: N802
        self._context = context
        return (SUCCESS,)

    def cuLaunchKernel(self, *arguments: Any) -> tuple[Any, ...]:  # noqa: N802
        self.asked.append(arguments)
        self.contexts.append(self._context)
        return (self.answer,)


@pytest.fixture
def bindings(monkeypatch: pytest.MonkeyPatch) -> Bindings:
    made = Bindings()
    parent = ModuleType("cuda.bindings")
    monkeypatch.setattr(parent, "driver", made, raising=False)
    monkeypatch.setitem(sys.modules, "cuda.bindings", parent)
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", made)
    for name, value in {
        "device": made.switched,
        "current_device": lambda: made.device,
        "current_stream": made.current_stream,
        "get_device_capability": lambda _index: (9, 0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(
        driver,
        "compiled",
        lambda _dtype, architecture: Compiled(
            architecture.encode(), PTX, {"some_kernel": "lowered"}, ""
        ),
    )
    return made


def launch_of(x: torch.Tensor) -> Launch:
    return Launch("some_kernel", torch.float32, (3, 2), (x, 41))


def test_a_launch_is_what_was_planned(bindings: Bindings) -> None:
    """Function, grid, threads and torch's stream, and the arguments' values at their addresses."""
    x = torch.zeros(4)
    Driver().launch(launch_of(x))
    ((function, *grid, shared, stream, address, extra),) = bindings.asked
    assert function == ("module", b"sm_90", b"lowered")
    assert grid == [3, 2, 1, THREADS, 1, 1]
    assert (shared, stream, extra) == (0, STREAM, 0)
    assert address != 0


def test_what_was_launched_is_noted(bindings: Bindings) -> None:
    """Once the driver has taken it: what it refuses was not launched."""
    made, x = Driver(), torch.zeros(4)
    made.load(x.device)
    bindings.answer = REFUSED
    with pytest.raises(LaunchError):
        made.launch(launch_of(x))
    assert made.launched == set()
    bindings.answer = SUCCESS
    made.launch(launch_of(x))
    assert made.launched == {(x.device.index, torch.float32, "some_kernel")}


def test_arguments_lie_where_the_driver_looks(
    bindings: Bindings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses of a pointer and of an integer of 32 bits, while the launch is under way."""
    x, seen = torch.zeros(4), []

    def look(*asked: Any) -> tuple[Any, ...]:
        addresses = (ctypes.c_void_p * 2).from_address(asked[-2])
        seen.append(ctypes.c_void_p.from_address(addresses[0] or 0).value)
        seen.append(ctypes.c_int32.from_address(addresses[1] or 0).value)
        return (SUCCESS,)

    monkeypatch.setattr(bindings, "cuLaunchKernel", look)
    Driver().launch(launch_of(x))
    assert seen == [x.data_ptr(), 41]


def test_a_kernel_is_loaded_once(bindings: Bindings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is launched later finds it, as a capture must."""
    ours = Driver()
    ours.load(torch.device("cpu"))
    monkeypatch.setattr(bindings, "cuModuleLoadData", None)
    # Nor is the device asked what it is, or PTX read, which would cost each launch its time.
    monkeypatch.setattr(torch.cuda, "get_device_capability", None)
    monkeypatch.setattr(Compiled, "parameters", None)
    ours.launch(launch_of(torch.zeros(1)))
    ours.launch(launch_of(torch.zeros(1)))
    assert len(bindings.asked) == 2


class OnAnother(torch.Tensor):
    """A tensor that says it is on the second GPU."""

    device = torch.device("cuda", 1)


def test_each_device_has_its_own_context_and_stream(bindings: Bindings) -> None:
    """Whichever is current, which it is again behind; changed to where another is, not else.

    A thread's first launch sets the context even so.
    """
    ours, x = Driver(), torch.zeros(4).as_subclass(OnAnother)
    bindings.device = 0
    ours.load(torch.device("cuda", 1))
    ours.load(torch.device("cuda", 0))
    for current, switches in ((0, [1]), (1, [])):
        bindings.device = current
        bindings.switches.clear()
        bindings._context = "none"
        ours.launch(launch_of(x))
        assert (bindings.device, bindings.switches) == (current, switches)
    assert bindings.contexts == ["of 1", "of 1"]
    assert [asked[-3] for asked in bindings.asked] == [STREAM + 1, STREAM + 1]


@pytest.mark.parametrize("index", [0, 1])
def test_kernels_are_loaded_where_no_context_is_current(index: int, bindings: Bindings) -> None:
    """As in a new thread, whose device may well be the one that is asked for."""
    bindings.device = 0
    Driver().load(torch.device("cuda", index))
    assert bindings.loaded == [f"of {index}"] * len(SCALARS)


def test_a_refusal_names_the_kernel(bindings: Bindings) -> None:
    """And the driver's own word for why."""
    ours = Driver()
    ours.load(torch.device("cpu"))
    bindings.answer = REFUSED
    with pytest.raises(LaunchError, match="some_kernel: CUDA_ERROR_INVALID_VALUE"):
        ours.launch(launch_of(torch.zeros(1)))
    with pytest.raises(LaunchError, match="context: CUDA_ERROR_INVALID_VALUE"):
        Driver().load(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_reason_is_told() -> None:
    """Nothing is asked of bindings that could wait for a driver."""
    reason = library.Loader()(torch.device("cuda"))
    assert reason is not None
    assert reason.startswith(
        ("there is no CUDA driver", "torch sees no CUDA device", "the package")
    )


def test_without_bindings_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of torch's own CUDA, as before torch 2.10; an extra that is declared; or another torch."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert compiler.missing() == (
        "the package cuda.bindings is not installed: pip install 'cuda-bindings==12.*', "
        "or 'se-bench[cuda]' for a torch that brings it"
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "se-bench"
    assert project["optional-dependencies"]["cuda"] == ["cuda-bindings", "torch>=2.10"]
    monkeypatch.setattr(torch.version, "cuda", None)
    assert compiler.missing() == (
        "the package cuda.bindings is not installed, and this torch is built without CUDA"
    )


def test_every_dtype_has_a_name_in_the_source() -> None:
    """Those that are dispatched are those that are compiled."""
    assert set(SCALARS) == set(DTYPES)
