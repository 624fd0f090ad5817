"""What each operator of a forward has to do: bytes to move, and multiply-adds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bench.measure.dispatch import Call, Watch, meta_twin, on_meta
from bench.measure.paths import transformed
from bench.measure.subject import DTYPES, MEMORY_FORMATS, build_shapes, example_shapes
from bench.measure.traffic import Traffic, is_operator
from bench.trial import Trial
from se_models.fused.cuda.dispatch import IMAGES, UNITS


@dataclass(frozen=True)
class Work:
    """What one operator must move, and its multiply-adds.

    Attributes:
        again_bytes: that its kernel moves besides, as it reads some of them more than once.
        is_wide: whether it multiplies in float32 whatever the dtype of maps, without tensor cores.
    """

    moved_bytes: int
    multiply_adds: int
    again_bytes: int = 0
    is_wide: bool = False


class _Works:
    """What operators have to do, as an observer of a forward's calls."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    def see(self, call: Call) -> None:
        if is_operator(call.operator):
            traffic = Traffic()
            traffic.see(call)
            excites = call.operator.overloadpacket is torch.ops.se_models.excite
            self.works.append(
                Work(
                    traffic.ideal_bytes,
                    _multiply_adds(call),
                    _again_bytes(call) if excites else 0,
                    is_wide=excites,
                )
            )


def _multiply_adds(call: Call) -> int:
    """Of a convolution or a matrix product; none of any other operator."""
    packet = call.operator.overloadpacket
    if packet is torch.ops.aten.convolution:
        return call.outputs[0].numel() * call.inputs[1].shape[1:].numel()
    if packet in (torch.ops.aten.addmm, torch.ops.aten.mm):
        return call.outputs[0].numel() * call.inputs[-1].shape[0]
    if packet is torch.ops.se_models.excite:
        squeezed, *others = call.inputs
        return squeezed.shape[0] * sum(each.numel() for each in others if each.dim() == 2)
    return 0


def _again_bytes(call: Call) -> int:
    """What `excite` on CUDA moves beyond its operands, each once.

    Each block reads its units' weights for a few images, and all means of those; where several
    blocks share an image they leave sums that the last one reads.
    """
    squeezed, *others = call.inputs
    weight1, weight2 = (each for each in others if each.dim() == 2)
    batch = squeezed.shape[0]
    groups = math.ceil(batch / min(batch, IMAGES))
    chunks = math.ceil(weight1.shape[0] / UNITS)
    partial_bytes = batch * chunks * weight2.shape[0] * squeezed.itemsize if chunks > 1 else 0
    return (
        (groups - 1) * (weight1.nbytes + weight2.nbytes)
        + (chunks - 1) * squeezed.nbytes
        + 2 * partial_bytes
    )


def works_of(trial: Trial) -> list[Work]:
    """What each operator of a trial has to do, whose path is eager or a CUDA graph.

    Raises:
        ValueError: if its executor makes code of its own, whose operators nobody knows.
    """
    if not trial.path.calls_operators:
        raise ValueError(f"path must be eager or cuda_graph, got {trial.path.label}")
    workload = trial.workload
    dtype, memory_format = DTYPES[workload.dtype], MEMORY_FORMATS[workload.layout]
    twin = meta_twin(build_shapes(trial.variant).eval(), dtype=dtype, memory_format=memory_format)
    model = transformed(twin, trial.path.transform)
    example = example_shapes(workload)
    seen = _Works()
    with on_meta(model), Watch(seen):
        model(example)
    return seen.works
