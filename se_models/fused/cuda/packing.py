"""Arguments as a kernel takes them: the addresses of values of the types that it declares."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from torch import Tensor

from se_models.fused.cuda.launch import Argument, Launch, LaunchError

# PTX's words for pointers, and for integers of 32 bits.
_POINTERS, _INTEGERS = ("u64", "b64"), ("u32", "s32", "b32")
_LEAST, _MOST = -(2**31), 2**31 - 1


class Packed:
    """A launch's arguments, at addresses that last as long as this does.

    Args:
        launch: whose arguments.
        parameters: the types that its kernel declares, in PTX's words.

    Raises:
        LaunchError: if count, type or size of an argument is none that the kernel takes.
    """

    def __init__(self, launch: Launch, parameters: Sequence[str]) -> None:
        if len(launch.arguments) != len(parameters):
            raise LaunchError(
                f"{launch.kernel} takes {len(parameters)} arguments, got {len(launch.arguments)}"
            )
        self._values = [
            _value(launch.kernel, place, argument, parameter)
            for place, (argument, parameter) in enumerate(
                zip(launch.arguments, parameters, strict=True)
            )
        ]
        self._addresses = (ctypes.c_void_p * len(self._values))(
            *(ctypes.addressof(value) for value in self._values)
        )

    @property
    def address(self) -> int:
        """Of an array of the values' addresses."""
        return ctypes.addressof(self._addresses)


def _value(
    kernel: str, place: int, argument: Argument, parameter: str
) -> ctypes.c_void_p | ctypes.c_int32:
    if isinstance(argument, int):
        if parameter not in _INTEGERS:
            raise _refused(kernel, place, f"be a {parameter}, got the integer {argument}")
        if not _LEAST <= argument <= _MOST:
            raise _refused(kernel, place, f"fit into 32 bits, got {argument}")
        return ctypes.c_int32(argument)
    if parameter not in _POINTERS:
        raise _refused(kernel, place, f"be a {parameter}, got a tensor")
    return ctypes.c_void_p(argument.data_ptr() if isinstance(argument, Tensor) else None)


def _refused(kernel: str, place: int, rule: str) -> LaunchError:
    return LaunchError(f"{kernel}, argument {place} must {rule}")
