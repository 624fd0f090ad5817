"""How far off an output is, and how far it may be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.measure import subject
from bench.measure.reference import disagreement, refer, tolerance
from bench.protocol import Reference, decode_reply, encode
from bench.trial import Trial, Variant, Workload

TRIAL = Trial(Variant("resnet18"), Workload())


def reference(rounding: float) -> Reference:
    return Reference(TRIAL, b"", rounding)


@pytest.mark.parametrize(
    ("rounding", "limit"), [(1e-7, 1e-4), (1e-3, 3e-3), (0.9, 1.0), (1.0, 1.0)]
)
def test_three_times_the_rounding_of_eager_is_allowed(rounding: float, limit: float) -> None:
    """A little is allowed in any case, and never as much as the largest element."""
    assert tolerance(Workload(), reference(rounding)) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("dtype", "limit"), [("float32", 1e-4), ("float16", 2e-2), ("bfloat16", 1e-1)]
)
def test_the_least_tolerance_is_that_of_the_dtype(dtype: Any, limit: float) -> None:
    """Where eager execution happens to be exact, another may still round."""
    assert tolerance(Workload(dtype=dtype), reference(0.0)) == limit


@pytest.mark.parametrize(("tf32", "limits"), [(True, (2e-2, 0.24)), (False, (1e-4, 1e-4))])
def test_a_gpu_that_may_use_tf32_may_round_as_coarsely(
    tf32: bool, limits: tuple[float, float]
) -> None:
    """What cuDNN does by default must not pass for a wrong result, nor loosen what the CPU does."""
    with torch.backends.cudnn.flags(allow_tf32=tf32):
        for rounding, limit in zip((1e-8, 1e-5), limits, strict=True):
            on_gpu = tolerance(Workload(device="cuda"), reference(rounding))
            assert on_gpu == pytest.approx(limit, rel=0.05)
            assert tolerance(Workload(), reference(rounding)) == 1e-4


@torch.no_grad()
def test_a_deep_network_may_round_more_than_a_shallow_one() -> None:
    """ResNet-101 at 64 px is off by more than float32's least tolerance, and yet it is right."""
    trial = Trial(Variant("resnet101"), Workload(size=64))
    model, example = subject.build(trial, subject.Trunks())
    exact = refer(trial, model, example)
    assert exact.rounding < disagreement(model(example), exact) * 1.5
    assert disagreement(model(example), exact) <= tolerance(trial.workload, exact)
    assert 1e-4 < tolerance(trial.workload, exact) < 1e-2


def test_an_output_that_overflows_is_wrong_in_every_dtype() -> None:
    """Even where eager execution overflows too; the reference goes over a pipe all the same."""

    class Overflow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 1e3 * 1e3

    example = torch.ones(2, 3, dtype=torch.float16)
    exact = refer(TRIAL, Overflow(), example)
    assert decode_reply(encode(exact)) == exact
    wrong_by = disagreement(Overflow()(example), exact)
    assert wrong_by > tolerance(Workload(dtype="float16"), exact)


def test_nan_counts_as_infinitely_wrong() -> None:
    """An overflow does not pass for agreement."""
    exact = refer(TRIAL, nn.Identity(), torch.ones(2))
    assert disagreement(torch.tensor([1.0, float("nan")]), exact) == float("inf")
    assert disagreement(torch.tensor([1.0, 1.5]), exact) == 0.5


def test_a_large_batch_is_compared_at_both_ends() -> None:
    """Four images stand for all: a wrong first or last one is found."""
    example = torch.arange(1.0, 13.0).reshape(6, 2)
    exact = refer(TRIAL, nn.Identity(), example)
    assert len(exact.output) == 4 * 2 * 8
    assert disagreement(example, exact) == 0
    for place in (0, 5):
        wrong = example.clone()
        wrong[place] += 6
        assert disagreement(wrong, exact) == 0.5
