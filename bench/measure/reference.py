"""What an output ought to be, that of float64, and how far from it rounding may carry one."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from bench.protocol import Reference
from bench.trial import DType, Trial, Workload

# What rounding explains in a shallow network, as max|a - b| / max|b| against float64.
LEAST_TOLERANCES: dict[DType, float] = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
# In a deep one rounding is amplified, in some ten thousand times. How much is seen in
# plain eager execution; so many times as far off another execution may be.
ROUNDING_MULTIPLE = 3.0
# An output that is off by as much as its largest element is wrong in every dtype.
LARGEST_TOLERANCE = 1.0
# TF32 has a mantissa of 10 bits, float32 of 23.
TF32_COARSENESS = 2.0**13

# Of a large batch as many images are compared at either end: in eval mode each image
# has an output of its own, and hundreds in float64 take minutes.
IMAGES_PER_END = 2


@torch.no_grad()
def refer(trial: Trial, model: nn.Module, example: Tensor) -> Reference:
    """The output in float64, and how far off eager execution on the CPU is; the model is read."""
    ends = _ends(example).to("cpu")
    exact: Tensor = copy.deepcopy(model).to(device="cpu", dtype=torch.float64)(ends.double())
    output = exact.contiguous().numpy().tobytes()
    rounding = min(_off_by(model(ends), exact), LARGEST_TOLERANCE)
    return Reference(trial, output, rounding)


def disagreement(output: Tensor, reference: Reference) -> float:
    """max|a - b| / max|b| of an output against float64.

    NaN and infinity in the output count as infinitely wrong.

    Raises:
        RuntimeError: if the two differ in their number of elements.
    """
    compared = _ends(output)
    exact = torch.frombuffer(bytearray(reference.output), dtype=torch.float64)
    return _off_by(compared, exact.reshape(compared.shape))


def tolerance(workload: Workload, reference: Reference) -> float:
    """How far an output may be off: three times as far as eager execution is, or a little.

    The rule is that of ``same`` in ``torch._dynamo.utils``, by which PyTorch
    tells whether a compiled model is accurate. A GPU that may use TF32 for
    float32, as cuDNN may by default, rounds more coarsely than the CPU.
    """
    least = LEAST_TOLERANCES[workload.dtype]
    rounding = reference.rounding
    if workload.device == "cuda" and workload.dtype == "float32" and _may_use_tf32():
        least, rounding = LEAST_TOLERANCES["float16"], rounding * TF32_COARSENESS
    return min(max(least, ROUNDING_MULTIPLE * rounding), LARGEST_TOLERANCE)


def _may_use_tf32() -> bool:
    return torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32


def _off_by(output: Tensor, exact: Tensor) -> float:
    difference = (output.to(device="cpu", dtype=torch.float64) - exact).abs().max()
    relative = float(difference / exact.abs().max())
    return relative if relative == relative else float("inf")


def _ends(batch: Tensor) -> Tensor:
    """The first and the last images of a batch; a small batch whole."""
    if len(batch) <= 2 * IMAGES_PER_END:
        return batch
    return torch.cat([batch[:IMAGES_PER_END], batch[-IMAGES_PER_END:]])
