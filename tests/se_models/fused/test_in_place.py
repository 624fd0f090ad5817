"""Operators in place tell autograd that they write, by kernels as by references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from se_models.fused.operators import REFERENCES

pytestmark = pytest.mark.usefixtures("cpu_kernels")

LAYERS = torch.rand(2, 3), None, torch.rand(3, 2), None, None
IN_PLACE = {
    "tail_": (None, None, None, None),
    "tail_squeeze_": (None, None, None, None),
    "squeeze_excite_tail_": (*LAYERS, None, None, None),
}
BY: list[Callable[[str], Any]] = [
    lambda name: getattr(torch.ops.se_models, name),
    lambda name: REFERENCES[name],
]


def test_these_are_all() -> None:
    """By their schemas, of which none but these writes."""
    assert {name for name in REFERENCES if name.endswith("_")} == set(IN_PLACE)


@pytest.mark.parametrize("by", BY, ids=["kernel", "reference"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_what_autograd_has_kept_is_missed(name: str, by: Any) -> None:
    """Written over, it would make gradients that are wrong."""
    weight, x = torch.rand(1, 3, 4, 4, requires_grad=True), torch.randn(1, 3, 4, 4)
    loss = (weight * x).sum()
    with torch.no_grad():
        by(name)(x, *IN_PLACE[name])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("by", BY, ids=["kernel", "reference"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_a_tensor_of_inference_mode_is_written_there_alone(name: str, by: Any) -> None:
    """As by torch's own operators."""

    def written(x: Tensor) -> None:
        by(name)(x, *IN_PLACE[name])

    with torch.inference_mode():
        x = torch.randn(1, 3, 4, 4)
        written(x)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        written(x)
