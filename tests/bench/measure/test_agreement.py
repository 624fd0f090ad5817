"""What the checks against float64 hand to the operators."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.measure.agreement import agreements
from se_models.fused import operators

pytestmark = pytest.mark.kernels

# Whether an operand begins where sixteen bytes do; of a tail they are the map, its shortcut, and
# the gate, the bias and the shortcut's gate.
TAILS = {
    (True, True, True, True, True), (False, True, True, True, True),
    (True, False, True, True, True), (False, False, True, True, True),
    (True, True, False, False, False),
}  # fmt: skip
PRODUCTS = {(True, True), (False, True), (True, False), (False, False)}


@pytest.mark.parametrize(
    ("name", "wanted"), [("tail_", TAILS), ("tail_squeeze_", TAILS), ("scale", PRODUCTS)]
)
def test_operands_lie_where_wide_accesses_may_start_and_where_not(
    name: str, wanted: set[tuple[bool, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps and factors, either beside the other aligned, so that its own address must be heeded."""
    found: set[tuple[bool, ...]] = set()
    right: Callable[..., object] = getattr(operators, name)

    def noting(*given: Any) -> object:
        tensors = [each for each in given if isinstance(each, Tensor)]
        if len(tensors) == len(next(iter(wanted))):
            found.add(tuple(each.data_ptr() % 16 == 0 for each in tensors))
        return right(*given)

    monkeypatch.setattr(operators, name, noting)
    list(islice(agreements(torch.device("cpu"), [(2, 8, 3, 3)]), 6))  # those of one map
    assert found == wanted
