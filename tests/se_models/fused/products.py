"""Tests of 1x1 convolutions that are products of matrices, where the CPU has kernels for them."""

import pytest
import torch

# Off by more than this, of the largest value, and it is another convolution.
TOLERANCE = 3e-6

needs_products = [
    pytest.mark.usefixtures("cpu_kernels"),
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
        reason="on this CPU there are no products of matrices for them",
    ),
]
