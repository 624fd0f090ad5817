"""What is measured, built the same way in every process: trunks, twins and inputs from seeds."""

from __future__ import annotations

import copy
import zlib
from functools import lru_cache

import torch
from torch import Tensor
from torchvision.models import ResNet

import se_models
from bench.trial import DType, Layout, Trial, Variant, Workload
from se_models.config import Architecture
from se_models.resnet import with_se

SEED = 0
CALIBRATION_SHAPE = (8, 3, 64, 64)

DTYPES: dict[DType, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
MEMORY_FORMATS: dict[Layout, torch.memory_format] = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


def build_shapes(variant: Variant) -> ResNet:
    """The variant without any values, on the meta device: for what depends on shapes alone."""
    return with_se(_trunk_shapes(variant.architecture), variant.se, share_trunk=True)


@lru_cache(maxsize=1)
def _trunk_shapes(architecture: Architecture) -> ResNet:
    with torch.device("meta"):
        trunk: ResNet = getattr(se_models, architecture)()
    return trunk


def example_shapes(workload: Workload) -> Tensor:
    """An input without any values, on the meta device."""
    return torch.empty(
        (workload.batch, 3, workload.size, workload.size),
        dtype=DTYPES[workload.dtype],
        memory_format=MEMORY_FORMATS[workload.layout],
        device="meta",
    )


def build_blank(trial: Trial) -> ResNet:
    """A trial's network in eval mode, with made-up weights: for what depends on no value.

    Its weights differ from each other, lest a compiler leave out what one value makes
    needless. The network takes its workload's dtype and layout before it has any
    storage, so that no other copy of its weights ever existed in this process.
    """
    workload = trial.workload
    shapes = with_se(_trunk_shapes(trial.variant.architecture), trial.variant.se)
    model = _cast(shapes, workload).to_empty(device=workload.device)
    torch.manual_seed(SEED)
    # Writing makes every page resident, as a loaded model's are.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor = tensor.detach()
        tensor.uniform_(0, 0.01) if tensor.is_floating_point() else tensor.zero_()
    return model.eval()


def build_trunk(architecture: Architecture) -> ResNet:
    """The plain network, its BatchNorm statistics set from one seeded batch; float32, CPU, eval.

    Without those statistics deep trunks overflow and gates saturate, and a
    wrong output would look like a right one. They are computed on one thread,
    so that all processes have the very same trunk.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(SEED)
        trunk: ResNet = getattr(se_models, architecture)()
        torch.manual_seed(SEED)
        se_models.calibrate_batch_norm(trunk, torch.randn(CALIBRATION_SHAPE))
    finally:
        torch.set_num_threads(threads)
    return trunk.eval()


def place(model: ResNet, workload: Workload) -> ResNet:
    """The model itself, moved into the workload's dtype and layout and to its device."""
    return _cast(model.to(device=workload.device), workload)


def _cast(model: ResNet, workload: Workload) -> ResNet:
    model.to(dtype=DTYPES[workload.dtype])
    return model.to(memory_format=MEMORY_FORMATS[workload.layout])


class Trunks:
    """Trunks ready to be measured; only the latest one of each kind is kept."""

    def __init__(self) -> None:
        self._built: dict[Architecture, ResNet] = {}
        self._placed: dict[tuple[Architecture, str, str, str], ResNet] = {}

    def built(self, architecture: Architecture) -> ResNet:
        """In float32 on the CPU."""
        if architecture not in self._built:
            self._built = {architecture: build_trunk(architecture)}
        return self._built[architecture]

    def placed(self, architecture: Architecture, workload: Workload) -> ResNet:
        """In the workload's dtype and layout, on its device."""
        key = (architecture, workload.device, workload.dtype, workload.layout)
        if key not in self._placed:
            self._placed = {}
            trunk = copy.deepcopy(self.built(architecture))
            self._placed = {key: place(trunk, workload)}
        return self._placed[key]


def build_twin(trunk: ResNet, variant: Variant) -> ResNet:
    """The variant on the trunk's own tensors; its SE parameters follow from its name."""
    torch.manual_seed(zlib.crc32(variant.key.encode()))
    return with_se(trunk, variant.se, share_trunk=True)


def build(trial: Trial, trunks: Trunks) -> tuple[ResNet, Tensor]:
    """A trial's network, on the trunk's own tensors, and its input."""
    trunk = trunks.placed(trial.variant.architecture, trial.workload)
    return build_twin(trunk, trial.variant), build_example(trial.workload)


def build_example(workload: Workload) -> Tensor:
    """The input ``(batch, 3, size, size)``."""
    torch.manual_seed(SEED)
    example = torch.randn(workload.batch, 3, workload.size, workload.size)
    return example.to(
        device=workload.device,
        dtype=DTYPES[workload.dtype],
        memory_format=MEMORY_FORMATS[workload.layout],
    )
