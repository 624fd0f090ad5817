"""A launch: which kernel, on how many blocks, with which arguments; and who carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# The threads of every block, as kThreads of device.cuh.
THREADS = 256
# What CUDA allows of a grid in each direction, on every architecture.
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
# A pointer, null where there is no tensor; or an integer of 32 bits.
Argument = Tensor | None | int


@dataclass(frozen=True)
class Launch:
    """A kernel's call; its tensors live on one device, and are kept until it is on its way.

    Attributes:
        kernel: a function or an instance of a template, as in ``tail_planes<true, false>``.
        dtype: of the maps it is compiled for.
        blocks: of the grid, in x and y.

    Raises:
        ValueError: if there are more or fewer blocks than a grid may have.
    """

    kernel: str
    dtype: torch.dtype
    blocks: tuple[int, int]
    arguments: tuple[Argument, ...]

    def __post_init__(self) -> None:
        for axis, count, most in zip("xy", self.blocks, MOST_BLOCKS, strict=False):
            if not 1 <= count <= most:
                raise ValueError(
                    f"{self.kernel}: blocks in {axis} must be from 1 to {most:,}, got {count:,}"
                )


class Backend(Protocol):
    """Carries out launches: a CUDA driver, or a stand-in for it."""

    def launch(self, launch: Launch) -> None:
        """Put the launch on the current stream of its tensors' device.

        Raises:
            LaunchError: if it is refused; names the kernel.
        """
        ...


class LaunchError(RuntimeError):
    """A kernel could not be compiled, loaded or launched; says which, and why."""
