"""What an output ought to be: that of the same weights and input in float64, on the CPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from bench.trial import DType, Workload

# The largest max|a - b| / max|b| against float64 that rounding in the dtype explains,
# over all ten architectures; a wrong model is off by far more.
_TOLERANCES: dict[DType, float] = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

# Of a large batch as many images are compared at either end: in eval mode each image
# has an output of its own, and hundreds in float64 take minutes.
IMAGES_PER_END = 2


def tolerance(workload: Workload) -> float:
    """How far an output may be off under a workload, as ``disagreement`` has it.

    A GPU that may use TF32 for float32, as cuDNN may by default, rounds what
    it multiplies to the mantissa of float16.
    """
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    if workload.device == "cuda" and workload.dtype == "float32":
        return _TOLERANCES["float16" if any(b.allow_tf32 for b in backends) else "float32"]
    return _TOLERANCES[workload.dtype]


@torch.no_grad()
def exact_output(model: nn.Module, example: Tensor) -> bytes:
    """The output in float64, as bytes that can go over a pipe; the model is only read."""
    exact = copy.deepcopy(model).to(device="cpu", dtype=torch.float64)
    output: Tensor = exact(_ends(example).to(device="cpu", dtype=torch.float64))
    return output.contiguous().numpy().tobytes()


def disagreement(output: Tensor, reference: bytes) -> float:
    """max|a - b| / max|b| of an output against an ``exact_output``.

    NaN and infinity in the output count as infinitely wrong.

    Raises:
        RuntimeError: if the two differ in their number of elements.
    """
    compared = _ends(output).to(device="cpu", dtype=torch.float64)
    exact = torch.frombuffer(bytearray(reference), dtype=torch.float64).reshape(compared.shape)
    difference = (compared - exact).abs().max()
    relative = float(difference / exact.abs().max())
    return relative if relative == relative else float("inf")


def _ends(batch: Tensor) -> Tensor:
    """The first and the last images of a batch; a small batch whole."""
    if len(batch) <= 2 * IMAGES_PER_END:
        return batch
    return torch.cat([batch[:IMAGES_PER_END], batch[-IMAGES_PER_END:]])
