"""A feature map as the CUDA kernels see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from se_models.fused.cuda.launch import MOST_BLOCKS
from se_models.fused.shapes import layout_of

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Of one launch: half of what an index of 32 bits counts, so that none overflows past the end.
MOST_VALUES = 2**30
ACCESS_BYTES = 16

Layout = Literal["planes", "pixels"]


@dataclass(frozen=True)
class Map:
    """A feature map ``(B, C, H, W)`` as its kernels see it: dense, in one of two layouts."""

    values: Tensor
    layout: Layout

    @classmethod
    def of(cls, x: Tensor) -> Map:
        if x.dim() != 4 or not x.shape[1:].numel():
            raise ValueError(
                "x must have the shape (B, C, H, W), with channels and pixels, "
                f"got {tuple(x.shape)}"
            )
        if x.dtype not in DTYPES:
            raise ValueError(f"x must be of {', '.join(map(str, DTYPES))}, got {x.dtype}")
        layout = layout_of(x)
        # Of one pixel both layouts are the same, and only as pixels several values lie together.
        pixels = x.shape[2:].numel() == 1 or layout == torch.channels_last
        return cls(x.contiguous(memory_format=layout), "pixels" if pixels else "planes")

    @property
    def format(self) -> torch.memory_format:
        return layout_of(self.values)

    @property
    def channels(self) -> int:
        return self.values.shape[1]

    @property
    def area(self) -> int:
        return self.values.shape[2:].numel()

    @property
    def wide(self) -> int:
        """How many values the widest access has."""
        return ACCESS_BYTES // self.values.itemsize

    def like(self, other: Tensor | None, name: str) -> Tensor | None:
        """Another map of the same shape, dtype and device, in the same layout."""
        x = self.values
        if other is None:
            return None
        if _kind(other) != _kind(x):
            raise ValueError(
                f"{name} must be like x, {_told(*_kind(x))}, got {_told(*_kind(other))}"
            )
        return other.contiguous(memory_format=self.format)

    def factors(self, given: Tensor | None, name: str, *, each_image: bool) -> Tensor | None:
        """Float32 values for each channel, of each image or the same for all."""
        if given is None:
            return None
        shape = tuple(self.values.shape[:2]) if each_image else (self.channels,)
        refuse_other(name, given, shape, torch.float32, self.values.device)
        return given.contiguous()

    def empty_means(self) -> Tensor:
        return self.values.new_empty(self.values.shape[:2], dtype=torch.float32)

    def parts(self) -> Iterator[slice]:
        """Images that one launch can take."""
        batch, per_image = self.values.shape[0], self.channels * self.area
        if per_image > MOST_VALUES:
            raise ValueError(
                f"x must have at most {MOST_VALUES:,} values an image, got {per_image:,}"
            )
        most = min(MOST_VALUES // per_image, MOST_BLOCKS[1])
        for first in range(0, batch, most):
            yield slice(first, min(first + most, batch))


def refuse_other(
    name: str, given: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> None:
    """Refuse an operand of another shape or dtype, or on another device, than kernels read there.

    Raises:
        ValueError: naming it, what it must be and what it is.
    """
    if _kind(given) != (shape, dtype, device):
        raise ValueError(
            f"{name} must have the shape {shape} and be of {dtype} on {device}, "
            f"got {_told(*_kind(given))}"
        )


def _kind(x: Tensor) -> tuple[tuple[int, ...], torch.dtype, torch.device]:
    return tuple(x.shape), x.dtype, x.device


def _told(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> str:
    return f"{shape} of {dtype} on {device}"
