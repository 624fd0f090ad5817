"""Whole networks in every placement, by the paths that need no compiler of models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.cpus import default_threads
from bench.measure import subject
from bench.measure.paths import Forward, executor_of, transformed, unsupported
from bench.trial import Device, Path, Trial, Variant, Workload
from se_models.config import PLACEMENTS, Architecture, Placement, SEConfig

_trunks = subject.Trunks()


@pytest.mark.parametrize("path", ["eager", "fused", "fused+cuda_graph"])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_model(
    run: Callable[[Forward], None], placement: Placement,
    architecture: Architecture, path: str, device: Device,
) -> None:  # fmt: skip
    """One image of 224 px; what a machine cannot run is skipped, with the reason."""
    workload = Workload(device=device, threads=default_threads() if device == "cpu" else 1)
    trial = Trial(Variant(architecture, SEConfig(placement)), workload, Path.named(path))
    reason = unsupported(trial)
    if reason is not None:
        pytest.skip(reason)
    with torch.inference_mode():
        model, example = subject.build(trial, _trunks)
        forward = executor_of(trial.path).prepare(transformed(model, trial.path.transform), example)
    run(forward)
