"""All counts of a trial together, and that two ways of counting the same agree."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import msgspec
import pytest
import torch
from torch import nn
from torchvision.models import ResNet

import se_models
from bench.measure import counts
from bench.measure.arithmetic import Arithmetic
from bench.measure.counts import count
from bench.record import Counts
from bench.trial import TRANSFORMS, Device, DType, Path, Transform, Trial, Variant, Workload
from se_models import PLACEMENTS, SEConfig, with_se
from se_models.config import Architecture, Placement

SMALL = Workload(size=64)
HALVES: tuple[DType, ...] = ("float16", "bfloat16")


@cache
def trunk(architecture: Architecture) -> ResNet:
    """Without weights, since no count depends on one."""
    with torch.device("meta"):
        model: ResNet = getattr(se_models, architecture)()
    return model.eval()


def counts_of(
    architecture: Architecture,
    placement: Placement = "none",
    workload: Workload = SMALL,
    reduction: int = 16,
    transform: Transform = "none",
) -> Counts:
    config = SEConfig(placement, reduction)
    twin = with_se(trunk(architecture), config, share_trunk=True)
    return count(Trial(Variant(architecture, config), workload, Path(transform)), twin)


@cache
def plain_counts(architecture: Architecture) -> Counts:
    return counts_of(architecture)


def without_trial(counted: Counts) -> dict[str, object]:
    return {
        name: value for name, value in msgspec.structs.asdict(counted).items() if name != "trial"
    }


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_trace_and_dispatcher_agree(architecture: Architecture, placement: Placement) -> None:
    """No placement raises: fvcore's element-wise operations are the dispatcher's outputs."""
    counted, plain = counts_of(architecture, placement), plain_counts(architecture)
    if placement == "none":
        assert counted == plain
    else:
        assert counted.elementwise_ops > plain.elementwise_ops
        # Six operators an SE module: mean, linear, relu, linear, sigmoid, multiplication.
        modules = {"resnet18": 8, "resnet50": 16}[architecture]
        assert counted.operators == plain.operators + 6 * modules


def test_disagreement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that misses one element-wise operation stops the count."""
    right = counts_of("resnet18")
    wrong = Arithmetic(right.macs, right.elementwise_ops - 1)
    monkeypatch.setattr(counts, "count_arithmetic", lambda model, example: wrong)
    with pytest.raises(RuntimeError, match=r"counted by one alone"):
        counts_of("resnet18")


def test_parameters_by_formula() -> None:
    """SE in ResNet-50 adds the paper's 2/r sum of N C^2 and the biases, to its 25,557,032."""
    plain, se = counts_of("resnet50"), counts_of("resnet50", "standard")
    stages = ((3, 256), (4, 512), (6, 1024), (3, 2048))
    added = sum(n * (2 * c * c // 16 + c // 16 + c) for n, c in stages)
    assert (plain.params, plain.se_params) == (25_557_032, 0)
    assert (se.params, se.se_params) == (25_557_032 + added, added)


def test_se_is_nearly_free_in_multiply_adds() -> None:
    """SE adds its two layers and nothing more: less than 0.1 % of ResNet-50 at 224 pixels."""
    workload = Workload(size=224)
    plain, se = (counts_of("resnet50", name, workload) for name in ("none", "standard"))
    stages = ((3, 256), (4, 512), (6, 1024), (3, 2048))
    assert se.macs - plain.macs == sum(n * 2 * c * c // 16 for n, c in stages)
    assert 0 < (se.macs - plain.macs) / plain.macs < 0.001


def test_counts_repeat() -> None:
    """The same trial counts the same each time."""
    assert counts_of("resnet18", "inner") == counts_of("resnet18", "inner")


def test_counts_scale_with_the_batch() -> None:
    """The batch multiplies the arithmetic, and leaves operators and parameters as they are."""
    one, four = (counts_of("resnet18", "standard", replace(SMALL, batch=b)) for b in (1, 4))
    assert (four.macs, four.elementwise_ops) == (4 * one.macs, 4 * one.elementwise_ops)
    assert (four.operators, four.params) == (one.operators, one.params)
    weights = 4 * one.params
    assert one.ideal_bytes < four.ideal_bytes < 4 * one.ideal_bytes
    assert weights < one.live_peak_bytes < four.live_peak_bytes


def test_counts_scale_with_the_size() -> None:
    """Twice the size is four times the pixels, for convolutions; the classifier stays."""
    small, large = (counts_of("resnet18", workload=Workload(size=size)) for size in (64, 128))
    classifier = 512 * 1000
    assert large.macs - classifier == 4 * (small.macs - classifier)


def test_half_precision_halves_the_bytes() -> None:
    """In two bytes an element, all but the integers weighs half, and the arithmetic is the same."""
    full = counts_of("resnet18")
    for dtype in HALVES:
        half = counts_of("resnet18", workload=replace(SMALL, dtype=dtype))
        assert (half.macs, half.elementwise_ops) == (full.macs, full.elementwise_ops)
        assert half.operators == full.operators
        indices = 64 * 16 * 16 * 8  # of max pooling
        assert 2 * (half.ideal_bytes - indices) == full.ideal_bytes - indices
        # They weigh so much in half precision that the pooling is the peak.
        held = (half.params + 2 * 4800 + 3 * 64 * 64) * 2 + 20 * 8
        assert half.live_peak_bytes == held + (64 * 32 * 32 + 64 * 16 * 16) * 2 + indices


@pytest.mark.parametrize(
    "workload", [Workload("cuda", size=64), Workload(layout="channels_last", size=64)]
)
def test_device_and_layout_change_nothing(workload: Workload) -> None:
    """A CUDA workload is counted as the CPU's, without a GPU, and so is another layout."""
    counted = counts_of("resnet18", "standard", workload)
    assert counted.trial.workload == workload
    assert without_trial(counted) == without_trial(counts_of("resnet18", "standard"))


@pytest.mark.parametrize(
    ("device", "placement"), [*(("cuda", placement) for placement in PLACEMENTS), ("cpu", "pre")]
)
@pytest.mark.usefixtures("one_thread")
def test_transforms_change_what_is_called_and_moved_alone(
    device: Device, placement: Placement
) -> None:
    """Arithmetic is that of the model as written; each transform calls less and moves less."""
    workload = replace(SMALL, device=device)
    plain, folded, fused = (
        counts_of("resnet18", placement, workload, transform=transform) for transform in TRANSFORMS
    )
    arithmetic = {(each.params, each.macs, each.elementwise_ops) for each in (plain, folded, fused)}
    assert len(arithmetic) == 1
    norms = 20 - 8 * (placement == "prenorm")  # where the last of a block follows SE and stays
    assert plain.operators - folded.operators == norms
    assert folded.operators > fused.operators
    assert plain.ideal_bytes > folded.ideal_bytes > fused.ideal_bytes
    assert plain.live_peak_bytes > folded.live_peak_bytes
    if device == "cuda":
        assert folded.live_peak_bytes >= fused.live_peak_bytes


def test_without_kernels_fused_blocks_of_the_cpu_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What would run in their place is no fused path; those of other devices are counted."""
    monkeypatch.setattr(counts, "missing", lambda device: "no compiler")
    with pytest.raises(RuntimeError, match="counted by their kernels: no compiler"):
        counts_of("resnet18", transform="fused")
    counts_of("resnet18", workload=replace(SMALL, device="cuda"), transform="fused")


def test_real_model_counts_as_its_meta_twin() -> None:
    """With weights or without, the counts are the same, and the shared trunk stays untouched."""
    real: ResNet = se_models.resnet18().eval()
    before = {name: tensor.clone() for name, tensor in real.state_dict().items()}
    config = SEConfig("post")
    twin = with_se(real, config, share_trunk=True)
    counted = count(Trial(Variant("resnet18", config), SMALL), twin)
    assert counted == counts_of("resnet18", "post")
    assert all(torch.equal(before[name], value) for name, value in real.state_dict().items())


def test_training_mode_is_an_error() -> None:
    """A model in training mode is refused, since another forward would be counted."""
    model: nn.Module = se_models.resnet18().train()
    with pytest.raises(ValueError, match=r"^model must be in eval mode"):
        count(Trial(Variant("resnet18"), SMALL), model)
