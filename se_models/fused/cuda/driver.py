"""Launches carried out by CUDA's driver, on torch's current stream.

Nothing here synchronises or allocates once a kernel is loaded, so launches may
be captured; kernels are loaded for a device before it is first used.
"""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from se_models.fused.cuda.compiler import SCALARS, Compiled, compiled
from se_models.fused.cuda.launch import THREADS, Launch, LaunchError
from se_models.fused.cuda.packing import Packed


def missing() -> str | None:
    """Why there is no driver to talk to, or None; asks nothing that could wait for one."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no CUDA driver (libcuda.so.1)"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return None


class Driver:
    """A `Backend` for the devices of this machine.

    Attributes:
        launched: index of the device, dtype and kernel of every launch that the driver took.
    """

    def __init__(self) -> None:
        self.launched: set[tuple[int, torch.dtype, str]] = set()
        self._compiled: dict[tuple[str, torch.dtype], Compiled] = {}
        # With the types of their parameters, so that a launch looks up nothing else.
        self._functions: dict[tuple[int, torch.dtype, str], tuple[Any, tuple[str, ...]]] = {}
        self._contexts: dict[int, Any] = {}

    def load(self, device: torch.device) -> None:
        """Load all kernels for a device: a capture could not do so under way.

        Raises:
            LaunchError: if one can neither be found nor compiled, or not be loaded.
        """
        from cuda.bindings import driver

        with torch.cuda.device(device):
            index = torch.cuda.current_device()
            # Torch's own, which need not be current: in a thread that has called nothing yet none
            # is, even where torch has the device for its current one.
            handle = _told("context", driver.cuDeviceGet(index))
            context = _told("context", driver.cuDevicePrimaryCtxRetain(handle))
            _told("context", driver.cuCtxSetCurrent(context))
            self._contexts[index] = context
            for dtype in SCALARS:
                kernels = self._kernels(index, dtype)
                module = _told("loading", driver.cuModuleLoadData(kernels.cubin))
                for name, lowered in kernels.names.items():
                    found = driver.cuModuleGetFunction(module, lowered.encode())
                    function = _told(name, found)
                    self._functions[index, dtype, name] = function, kernels.parameters(name)

    def launch(self, launch: Launch) -> None:
        from cuda.bindings import driver

        tensor = next(each for each in launch.arguments if isinstance(each, Tensor))
        index = tensor.device.index
        key = (index, launch.dtype, launch.kernel)
        if key not in self._functions:
            self.load(tensor.device)
        function, parameters = self._functions[key]
        packed = Packed(launch, parameters)
        # Changing the device and back again is left out where it is the current one, as it mostly
        # is; its context is not current for that, for a thread's first launch may come before
        # anything of torch's has made it so.
        is_current = torch.cuda.current_device() == index
        with nullcontext() if is_current else torch.cuda.device(index):
            _told("context", driver.cuCtxSetCurrent(self._contexts[index]))
            _told(
                launch.kernel,
                driver.cuLaunchKernel(
                    function,
                    *launch.blocks, 1,
                    THREADS, 1, 1,
                    0,
                    torch.cuda.current_stream().cuda_stream,
                    packed.address,
                    0,
                ),
            )  # fmt: skip
        self.launched.add(key)

    def _kernels(self, index: int, dtype: torch.dtype) -> Compiled:
        major, minor = torch.cuda.get_device_capability(index)
        key = (f"sm_{major}{minor}", dtype)
        if key not in self._compiled:
            self._compiled[key] = compiled(dtype, key[0])
        return self._compiled[key]


def _told(kernel: str, answer: tuple[Any, ...]) -> Any:
    """The value behind a status that says success.

    Raises:
        LaunchError: naming the kernel and the driver's status.
    """
    status, *values = answer
    if status.value:
        raise LaunchError(f"{kernel}: {status.name}")
    return values[0] if values else None
