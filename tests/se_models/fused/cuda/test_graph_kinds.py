"""Which of its graphs a captured forward replays, by input and settings; on the stand-in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from se_models.fused.graph import CapturedForward
from tests.se_models.fused.cuda.stand_in import Device

pytestmark = pytest.mark.kernels


def test_each_kind_of_input_has_a_graph_and_few_are_kept(device: Device) -> None:
    """Shape, dtype and layout tell them apart; the one used least recently goes."""
    captured = CapturedForward(nn.ReLU().eval(), graphs=2)
    small, large = torch.zeros(1, 2, 3, 3), torch.zeros(2, 2, 3, 3)
    captured(small)
    captured(large)
    captured(small)
    assert len(device.graphs) == 2
    captured(large.contiguous(memory_format=torch.channels_last))  # in the place of large
    captured(small)
    assert len(device.graphs) == 3
    captured(large)
    assert len(device.graphs) == 4


def test_a_graph_serves_the_autocast_it_was_captured_under(device: Device) -> None:
    """Not calls without it, nor for another dtype; afterwards casts are kept as before."""
    captured = CapturedForward(nn.Linear(4, 4).eval())
    images = torch.randn(1, 4)
    wanted = (torch.float32, torch.bfloat16, torch.float16)
    for _ in range(2):
        for dtype in wanted:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                assert captured(images).dtype == dtype
                assert torch.is_autocast_cache_enabled()
    assert len(device.graphs) == len(wanted)


@pytest.fixture
def precisions() -> Iterator[tuple[Any, Any]]:
    """Where torch has those of matrices and of convolutions; put back at the end."""
    cudnn: Any = torch.backends.cudnn
    places = torch.backends.cuda.matmul, cudnn.conv
    before = [place.fp32_precision for place in places]
    yield places
    for place, value in zip(places, before, strict=True):
        place.fp32_precision = value


def graphs_under(
    device: Device, places: Iterable[Any], name: str, values: tuple[object, ...]
) -> int:
    """How many graphs there are once every choice of two settings has been in force twice."""
    captured = CapturedForward(nn.ReLU().eval())
    for _ in range(2):
        for chosen in product(values, repeat=2):
            for place, value in zip(places, chosen, strict=True):
                setattr(place, name, value)
            captured(torch.ones(1, 4))
    return len(device.graphs)


def test_a_graph_serves_the_precision_it_was_captured_under(
    device: Device, precisions: tuple[Any, Any]
) -> None:
    """Of matrices and of convolutions: TF32 or float32 throughout."""
    assert graphs_under(device, precisions, "fp32_precision", ("ieee", "tf32")) == 4


def test_where_torch_has_flags_instead_a_graph_serves_these(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before torch 2.9; stand-ins, since torch's own may refuse once the others were set."""
    flags = [SimpleNamespace(allow_tf32=False) for _ in range(2)]
    monkeypatch.setattr("se_models.fused.graph._NAMES_PRECISIONS", False)
    monkeypatch.setattr(torch.backends.cuda, "matmul", flags[0])
    monkeypatch.setattr(torch.backends, "cudnn", flags[1])
    assert graphs_under(device, flags, "allow_tf32", (False, True)) == 4


def test_a_graph_serves_the_device_it_was_captured_on(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input on another is no input of that graph."""
    monkeypatch.setattr("se_models.fused.graph._autocast", lambda _x: None)  # meta knows none
    captured = CapturedForward(nn.ReLU().eval())
    for _ in range(2):
        for on in ("cpu", "meta"):
            captured.static(torch.ones(1, 4, device=on))
    assert len(device.graphs) == 2
