"""The CUDA kernels behind the fused operators, once there is a device to run them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from typing import Any

import torch

from se_models.fused import operators as reference
from se_models.fused.cuda import compiler, driver
from se_models.fused.cuda.arrivals import arrivals
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.launch import LaunchError
from se_models.fused.cuda.maps import DTYPES
from se_models.fused.refusals import without_derivatives


class Loader:
    """Loads the kernels of one device after another, each when it is first asked for."""

    def __init__(self) -> None:
        self._backend = driver.Driver()
        self._lock = threading.Lock()  # threads may fuse at once, but operators have one kernel
        self._reasons: dict[int, str] = {}
        self._loaded: set[int] = set()
        self._registered: torch.library.Library | None = None

    def __call__(self, device: torch.device) -> str | None:
        """Stand in for the reference on a CUDA device; why that cannot be, or None.

        Its kernels are compiled, unless they are found on disk, and loaded, so that
        a capture finds them there. A device for which that fails runs the
        reference, whatever others do.
        """
        with self._lock:
            reason = compiler.missing() or driver.missing()
            if reason is not None:
                return reason
            index = torch.cuda.current_device() if device.index is None else device.index
            if index not in self._loaded and index not in self._reasons:
                self._load(index)
            return self._reasons.get(index)

    def launched(self, device: torch.device) -> set[tuple[torch.dtype, str]]:
        """Dtype and kernel of all that was launched on a device so far, by this process."""
        index = torch.cuda.current_device() if device.index is None else device.index
        return {
            (dtype, kernel) for where, dtype, kernel in self._backend.launched if where == index
        }

    def _load(self, index: int) -> None:
        # A library that is missing, a GPU that is busy or too old: each has an error of its own,
        # and none may keep a model from running in plain PyTorch.
        try:
            self._backend.load(torch.device("cuda", index))
        except Exception as error:
            self._reasons[index] = _told(error)
            return
        self._loaded.add(index)
        if self._registered is None:
            operators = Operators(self._backend, arrivals)
            self._registered = register(operators, "CUDA", without=self._reasons)


load = Loader()


def register(
    operators: Operators, key: str, *, without: Container[int | None] = ()
) -> torch.library.Library:
    """Make ``operators`` what torch calls for tensors of a dispatch key.

    Maps of a dtype for which there are no kernels, float64, go to the reference,
    and so do operators without one, which are for the CPU. What is registered
    lasts as long as the library that is returned.

    Args:
        operators: on kernels.
        key: such as ``CUDA``.
        without: indices of devices that have no kernels; asked at every call.
    """
    library = torch.library.Library(reference.NAMESPACE, "IMPL")
    for name in reference.REFERENCES:
        if hasattr(operators, name):
            library.impl(name, _chosen(name, operators, without), key)
    return library


def _chosen(name: str, operators: Operators, without: Container[int | None]) -> Callable[..., Any]:
    """The operator on kernels, or in plain PyTorch where there are none for its maps."""
    kernel = without_derivatives(f"{reference.NAMESPACE}::{name}", getattr(operators, name))
    plain = reference.REFERENCES[name]
    # The first argument is the map, but for excite, whose weights have the map's dtype.
    of_map = 1 if name == "excite" else 0

    def run(*arguments: Any) -> Any:
        given = arguments[of_map]
        if given.dtype not in DTYPES or given.device.index in without:
            return plain(*arguments)
        if name.endswith(
            "_"
        ):  # in place, of which autograd is to know, as of torch's own operators
            torch.autograd.graph.increment_version(given)
        return kernel(*arguments)

    return run


def _told(error: Exception) -> str:
    """In one line, for a warning; errors of other libraries by their name too."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, LaunchError) else f"{type(error).__name__}: {first}"
