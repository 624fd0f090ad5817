"""What an output ought to be: that of the same weights and input in float64, on the CPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from bench.trial import DType

# The largest max|a - b| / max|b| against float64 that rounding in the dtype explains,
# over all ten architectures; a wrong model is off by far more.
TOLERANCES: dict[DType, float] = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


@torch.no_grad()
def exact_output(model: nn.Module, example: Tensor) -> bytes:
    """The output in float64, as bytes that can go over a pipe; the model is only read."""
    exact = copy.deepcopy(model).to(device="cpu", dtype=torch.float64)
    output: Tensor = exact(example.to(device="cpu", dtype=torch.float64))
    return output.contiguous().numpy().tobytes()


def disagreement(output: Tensor, reference: bytes) -> float:
    """max|a - b| / max|b| of an output against an ``exact_output``.

    NaN and infinity in the output count as infinitely wrong.

    Raises:
        RuntimeError: if the two differ in their number of elements.
    """
    exact = torch.frombuffer(bytearray(reference), dtype=torch.float64).reshape(output.shape)
    difference = (output.to(device="cpu", dtype=torch.float64) - exact).abs().max()
    relative = float(difference / exact.abs().max())
    return relative if relative == relative else float("inf")
