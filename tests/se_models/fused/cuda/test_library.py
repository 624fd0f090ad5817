"""The operators behind torch's own, for one dispatch key."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.documents.sources import ROOT
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(120)]

# In a process of its own, where no other kernels are registered for the CPU.
_REGISTERED = """
import torch
from se_models.fused import operators
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.library import register
from tests.se_models.fused.cuda.emulator import Emulator, arrivals

emulator = Emulator()
x = torch.rand(2, 3, 5, 5)
layers = torch.rand(2, 3), None, torch.rand(3, 2), None, None
expected = operators.squeeze(x, False)
assert emulator.launches == []

library = register(Operators(emulator, arrivals), "CPU")
torch.testing.assert_close(operators.squeeze(x, False), expected)
gate = operators.excite(expected, *layers)
assert emulator.launches == ["squeeze_planes<false>", "excite<2>"], emulator.launches

# What there are no kernels for, by the map's dtype or by that of the weights.
torch.testing.assert_close(operators.squeeze(x.double(), False), expected.double())
doubled = [None if each is None else each.double() for each in layers]
torch.testing.assert_close(operators.excite(expected.double(), *doubled), gate.double())
assert len(emulator.launches) == 2

# What has no kernel of its own is made of what has, or of torch's operators.
torch.testing.assert_close(operators.squeeze_excite(x, *layers), gate)
assert emulator.launches[2:] == emulator.launches[:2]
assert operators.pointwise(x, torch.rand(1, 3, 4), *[None] * 2, 1, *[None] * 4, True).shape[1] == 4
assert len(emulator.launches) == 4

del library
operators.squeeze(x, False)
assert len(emulator.launches) == 4

# In place it is told to autograd.
library = register(Operators(emulator, arrivals), "CPU")
written = x.clone()
operators.tail_(written, None, None, None, None)
assert written._version == 1
del library
emulator.launches.clear()

# Nor are there any for a device that is left out, as this one is once it is in the set.
without = set()
library = register(Operators(emulator, arrivals), "CPU", without=without)
operators.squeeze(x, False)
without.add(x.device.index)
torch.testing.assert_close(operators.squeeze(x, False), expected)
assert len(emulator.launches) == 1

# Nobody has registered for autograd here, so that torch by itself would warn and go on.
for devices in ({}, {x.device.index}):
    library = register(Operators(emulator, arrivals), "CPU", without=devices)
    try:
        operators.squeeze(x.clone().requires_grad_(), False)
    except RuntimeError as error:
        assert "squeeze is for inference: no argument may require gradients" in str(error)
    else:
        raise AssertionError("nobody refused gradients")
"""


def test_torch_calls_what_is_registered() -> None:
    """For dtypes that have kernels, as long as the library is kept; float64 has the reference."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _REGISTERED],
        capture_output=True, text=True, check=False, timeout=100, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
