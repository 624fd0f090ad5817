"""The CUDA kernels behind the fused operators, once there is a device to run them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from se_models.fused import operators as reference
from se_models.fused.cuda import compiler, driver
from se_models.fused.cuda.arrivals import arrivals
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.launch import LaunchError
from se_models.fused.cuda.maps import DTYPES

_registered: list[torch.library.Library] = []


@cache
def load() -> str | None:
    """Stand in for the reference on CUDA devices; why that cannot be, or None.

    Every device's kernels are compiled, unless they are found on disk, and
    loaded, so that a capture finds them there.
    """
    reason = compiler.missing() or driver.missing()
    if reason is not None:
        return reason
    backend = driver.Driver()
    try:
        for index in range(torch.cuda.device_count()):
            backend.load(torch.device("cuda", index))
    except (LaunchError, OSError) as error:
        return str(error)
    _registered.append(register(Operators(backend, arrivals), "CUDA"))
    return None


def register(operators: Operators, key: str) -> torch.library.Library:
    """Make ``operators`` what torch calls for tensors of a dispatch key.

    Maps of a dtype for which there are no kernels, float64, go to the reference,
    and so do operators without one, which are for the CPU. What is registered
    lasts as long as the library that is returned.
    """
    library = torch.library.Library(reference.NAMESPACE, "IMPL")
    for name in reference.REFERENCES:
        if hasattr(operators, name):
            library.impl(name, _by_dtype(name, operators), key)
    return library


def _by_dtype(name: str, operators: Operators) -> Callable[..., Any]:
    """The operator on kernels, or in plain PyTorch where there are none for its maps."""
    kernel: Callable[..., Any] = getattr(operators, name)
    plain = reference.REFERENCES[name]
    # The first argument is the map, but for excite, whose weights have the map's dtype.
    of_map = 1 if name == "excite" else 0

    def run(*arguments: Any) -> Any:
        return (kernel if arguments[of_map].dtype in DTYPES else plain)(*arguments)

    return run
