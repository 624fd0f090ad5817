"""Which device has kernels for the fused operators, and how they get loaded."""

from __future__ import annotations

import threading
import warnings
from functools import cache

import torch

from se_models.fused.cpu.build import load as load_cpu
from se_models.fused.cpu.build import took_s
from se_models.fused.cuda.library import load as load_cuda

_WARNING = threading.Lock()


def load(device: torch.device) -> bool:
    """Load the kernels of ``device``, building them if need be; whether it has any.

    Without them the reference in plain PyTorch runs. Why there are none is told
    in one warning for each type of device and reason.
    """
    reason = missing(device)
    if reason is not None:
        with _WARNING:  # or threads that come at once would all be told
            _warn(device.type, reason)
    return reason is None


def missing(device: torch.device | str) -> str | None:
    """Why a device has no kernels, or None once they are loaded; it warns of nothing.

    They are built if need be. Each GPU is asked for itself; ``cuda`` is the current one.
    """
    device = torch.device(device)
    match device.type:
        case "cpu":
            return load_cpu()
        case "cuda":
            return load_cuda(device)
        case "meta":
            return None  # nothing is computed there
        case _:
            return f"none are written for devices of type {device.type}"


def build_s(device_type: str) -> float:
    """How long building the kernels of such devices took, once for this machine; 0 if unknown."""
    return took_s() if device_type == "cpu" else 0.0


@cache
def _warn(device_type: str, reason: str) -> None:
    warnings.warn(
        f"se_models has no kernels for fused blocks on this {device_type}, so they run in plain "
        f"PyTorch, which saves little: {reason}",
        RuntimeWarning,
        stacklevel=8,  # whoever called fuse()
    )
