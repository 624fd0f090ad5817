"""From an operator's tensors to launches: which kernel does it, and on how many blocks.

Nothing here knows a driver: a backend carries the launches out. Every choice
follows from shapes and addresses, so that the same call makes the same launches.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from se_models.fused.cuda.launch import MOST_BLOCKS, THREADS, Argument, Backend, Launch
from se_models.fused.cuda.maps import ACCESS_BYTES, DTYPES, MOST_VALUES, Map, refuse_other
from se_models.fused.refusals import refuse_no_units, refuse_overlap

_WARP = 32
_SECTOR_BYTES = 32
# Planes of more values than this have a block each, smaller ones a warp.
_LARGE_PLANE = 1024
# Of a whole map whose channels do not differ; each of their threads takes several values.
_RUN_BLOCKS = 4096
# Units of the hidden layer that a block of excite takes, and the images for which it does so at
# once where there are as many.
UNITS, IMAGES = THREADS // _WARP, 2


class Operators:
    """The fused operators on a backend; arguments as in `se_models.fused.operators`.

    Args:
        backend: carries launches out.
        arrivals: counters for `excite` on a device, int32, all 0 whenever no launch uses them.

    Raises:
        ValueError: by each operator, naming the argument, its rule and what it is.
    """

    def __init__(self, backend: Backend, arrivals: Callable[[torch.device], Tensor]) -> None:
        self._backend = backend
        self._arrivals = arrivals

    def squeeze(self, x: Tensor, relu: bool) -> Tensor:
        map_ = Map.of(x)
        means = map_.empty_means()
        for images in map_.parts():
            part, put = map_.values[images], means[images]
            if map_.layout == "planes":
                self._over_planes("squeeze_planes", map_, part, (part, put), (int(relu),))
            else:
                self._over_tiles("squeeze_pixels", map_, part, (part,), (put,), (int(relu),))
        return means

    def tail_(
        self,
        x: Tensor,
        shortcut: Tensor | None,
        gate: Tensor | None,
        bias: Tensor | None,
        shortcut_gate: Tensor | None,
    ) -> None:
        self._tail(x, shortcut, gate, bias, shortcut_gate, None)

    def tail_squeeze_(
        self,
        x: Tensor,
        shortcut: Tensor | None,
        gate: Tensor | None,
        bias: Tensor | None,
        shortcut_gate: Tensor | None,
    ) -> Tensor:
        means = Map.of(x).empty_means()
        self._tail(x, shortcut, gate, bias, shortcut_gate, means)
        return means

    def scale(self, x: Tensor, gate: Tensor, stride: int) -> Tensor:
        if stride < 1:
            raise ValueError(f"stride must be a positive integer, got {stride}")
        map_ = Map.of(x)
        gates = map_.factors(gate, "gate", each_image=True)
        assert gates is not None  # it was given
        height, width = x.shape[2:]
        rows, columns = -(-height // stride), -(-width // stride)
        y = torch.empty(
            (*x.shape[:2], rows, columns), dtype=x.dtype, device=x.device, memory_format=map_.format
        )
        sides = (height, width, rows, columns, stride)
        for images in map_.parts():
            part, put, by = map_.values[images], y[images], gates[images]
            if map_.layout == "pixels":
                per_image = map_.channels * rows * columns
                self._over_values("scale_pixels", map_, part, (part, by, put), per_image,
                                  (map_.channels, *sides))  # fmt: skip
            elif stride == 1:
                self._over_planes("scale_planes", map_, part, (part, by, put),
                                  (int(_alike(part, put)),))  # fmt: skip
            else:
                planes = part.shape[0] * map_.channels
                self._launch("scale_strided_planes", x.dtype, planes * rows * columns,
                             (part, by, put, planes, *sides))  # fmt: skip
        return y

    def excite(
        self,
        squeezed: Tensor,
        weight1: Tensor,
        bias1: Tensor | None,
        weight2: Tensor,
        bias2: Tensor | None,
        factor: Tensor | None,
    ) -> Tensor:
        _check_layers(squeezed, weight1, bias1, weight2, bias2, factor)
        batch, channels = squeezed.shape
        hidden = weight1.shape[0]
        squeezed = squeezed.contiguous()
        gates = weight2.shape[0]
        is_by_unit = weight2.t().is_contiguous()
        strides = (gates, 1) if is_by_unit else (1, hidden)  # from unit to unit, from gate to gate
        layers = (
            weight1.contiguous(), _dense(bias1), weight2 if is_by_unit else weight2.contiguous(),
            _dense(bias2), _dense(factor),
        )  # fmt: skip
        gate = squeezed.new_empty((batch, gates))
        images = IMAGES if batch >= IMAGES else 1
        chunks = -(-hidden // UNITS)
        # One block meets no other; counters in a capture of somebody else's are cleared each time.
        arrivals = self._arrivals(squeezed.device) if chunks > 1 else None
        most_groups = MOST_BLOCKS[1]
        groups_at_once = most_groups if arrivals is None else min(arrivals.numel(), most_groups)
        most = min(images * groups_at_once, max(1, MOST_VALUES // max(1, channels, chunks * gates)))
        for first in range(0, batch, most):
            part, put = squeezed[first : first + most], gate[first : first + most]
            count = part.shape[0]
            partial = squeezed.new_empty(count * chunks * gates) if chunks > 1 else None
            groups = -(-count // images)
            self._backend.launch(
                Launch(
                    f"excite<{images}>", weight1.dtype, (chunks, groups),
                    (part, *layers, partial, arrivals, put, count, channels, hidden, gates,
                     *strides),
                )
            )  # fmt: skip
        return gate

    def _tail(
        self,
        x: Tensor,
        shortcut: Tensor | None,
        gate: Tensor | None,
        bias: Tensor | None,
        shortcut_gate: Tensor | None,
        means: Tensor | None,
    ) -> None:
        if shortcut_gate is not None and shortcut is None:
            raise ValueError("shortcut must be given where shortcut_gate is, got None")
        map_ = Map.of(x)
        if shortcut is not None:
            refuse_overlap(x, shortcut)
        other = map_.like(shortcut, "shortcut")
        gates = map_.factors(gate, "gate", each_image=True)
        biases = map_.factors(bias, "bias", each_image=False)
        shortcut_gates = map_.factors(shortcut_gate, "shortcut_gate", each_image=True)
        alike = all(each is None for each in (gates, biases, shortcut_gates, means))
        for images in map_.parts():
            part, beside = map_.values[images], _of(other, images)
            by = (_of(gates, images), biases, _of(shortcut_gates, images))
            maps = (part, beside)
            if alike:
                self._over_run(map_, part, maps)
            elif map_.layout == "planes":
                put = _of(means, images)
                with_means = "true" if means is not None else "false"
                self._over_planes("tail_planes", map_, part, (*maps, *by, put, map_.channels),
                                  (int(_alike(part, beside)),), with_means)  # fmt: skip
            elif means is not None:
                self._over_tiles("tail_pixels_means", map_, part, (*maps, *by), (means[images],))
            else:
                per_image = map_.channels * map_.area
                self._over_values("tail_pixels", map_, part, (*maps, *by), per_image,
                                  (map_.channels, map_.area))  # fmt: skip
        if map_.values.data_ptr() != x.data_ptr():  # x was of neither layout: a copy was worked on
            x.copy_(map_.values)

    def _over_run(self, map_: Map, part: Tensor, maps: tuple[Tensor | None, ...]) -> None:
        count = part.numel()
        blocks = min(_RUN_BLOCKS, -(-count // (THREADS * map_.wide)))
        self._backend.launch(
            Launch("tail_run", part.dtype, (blocks, 1), (*maps, count, int(_alike(*maps))))
        )

    def _over_planes(
        self,
        kernel: str,
        map_: Map,
        part: Tensor,
        before: tuple[Argument, ...],
        behind: tuple[Argument, ...],
        *template: str,
    ) -> None:
        """A block, or a warp, for each plane."""
        planes = part.shape[0] * map_.channels
        large = map_.area > _LARGE_PLANE
        name = ", ".join(("true" if large else "false", *template))
        threads = planes * (THREADS if large else _WARP)
        self._launch(
            f"{kernel}<{name}>", part.dtype, threads, (*before, planes, map_.area, *behind)
        )

    def _over_tiles(
        self,
        kernel: str,
        map_: Map,
        part: Tensor,
        before: tuple[Tensor | None, ...],
        means: tuple[Tensor, ...],
        behind: tuple[Argument, ...] = (),
    ) -> None:
        """A block for all pixels of an image and the channels of a sector."""
        tiles = -(-map_.channels * part.itemsize // _SECTOR_BYTES)
        self._backend.launch(
            Launch(
                f"{kernel}<{_width(map_, before)}>", part.dtype, (tiles, part.shape[0]),
                (*before, *means, map_.channels, map_.area, *behind),
            )
        )  # fmt: skip

    def _over_values(
        self,
        kernel: str,
        map_: Map,
        part: Tensor,
        tensors: tuple[Tensor | None, ...],
        per_image: int,
        sizes: tuple[int, ...],
    ) -> None:
        """A thread for each value of an image, or for as many as one access has."""
        width = _width(map_, tensors)
        blocks = -(-per_image // (THREADS * width))
        self._backend.launch(
            Launch(f"{kernel}<{width}>", part.dtype, (blocks, part.shape[0]), (*tensors, *sizes))
        )

    def _launch(
        self, kernel: str, dtype: torch.dtype, threads: int, arguments: tuple[Argument, ...]
    ) -> None:
        blocks = -(-threads // THREADS)
        self._backend.launch(Launch(kernel, dtype, (blocks, 1), arguments))


def _width(map_: Map, tensors: tuple[Tensor | None, ...]) -> int:
    """How many channels a thread takes at once: several only if all addresses allow it."""
    aligned = all(each is None or each.data_ptr() % ACCESS_BYTES == 0 for each in tensors)
    return map_.wide if aligned and map_.channels % map_.wide == 0 else 1


def _alike(*maps: Tensor | None) -> bool:
    """Whether all lie alike in their sixteen bytes, so that where one is aligned, all are."""
    return len({each.data_ptr() % ACCESS_BYTES for each in maps if each is not None}) == 1


def _dense(given: Tensor | None) -> Tensor | None:
    return None if given is None else given.contiguous()


def _of(given: Tensor | None, images: slice) -> Tensor | None:
    return None if given is None else given[images]


def _check_layers(
    squeezed: Tensor,
    weight1: Tensor,
    bias1: Tensor | None,
    weight2: Tensor,
    bias2: Tensor | None,
    factor: Tensor | None,
) -> None:
    if squeezed.dim() != 2 or squeezed.dtype != torch.float32:
        raise ValueError(
            "squeezed must have the shape (B, C) and be of torch.float32, "
            f"got {tuple(squeezed.shape)} of {squeezed.dtype}"
        )
    if weight1.dtype not in DTYPES:
        raise ValueError(f"weight1 must be of {', '.join(map(str, DTYPES))}, got {weight1.dtype}")
    refuse_no_units(weight1)
    channels, hidden, gates = squeezed.shape[1], weight1.shape[0], weight2.shape[0]
    wanted = {
        "weight1": (weight1, (hidden, channels), weight1.dtype),
        "bias1": (bias1, (hidden,), weight1.dtype),
        "weight2": (weight2, (gates, hidden), weight1.dtype),
        "bias2": (bias2, (gates,), weight1.dtype),
        "factor": (factor, (gates,), torch.float32),
    }
    for name, (given, shape, dtype) in wanted.items():
        if given is None:
            continue
        refuse_other(name, given, shape, dtype, squeezed.device)
        if given.numel() > MOST_VALUES:
            raise ValueError(
                f"{name} must have at most {MOST_VALUES:,} values, got {given.numel():,}"
            )
