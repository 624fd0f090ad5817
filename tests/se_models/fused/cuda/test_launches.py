"""How many launches SE adds to a fused network on a GPU, in every placement; nothing is computed.

Counted are the launches of the kernels and the calls of torch's operators that are no
views, copies and casts among them. How many launches a convolution of torch's takes
is for cuDNN to say, but with SE there are no more convolutions than without.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any, Literal

import pytest
import torch

import se_models
from bench.documents.sources import ROOT
from se_models import PLACEMENTS, SEConfig, with_se
from se_models.fused import fuse
from se_models.fused.cuda.arrivals import COUNTERS
from se_models.fused.cuda.dispatch import IMAGES, Operators
from tests.se_models.fused.cuda.emulator import Recorder
from tests.se_models.fused.cuda.launches import launches
from tests.se_models.fused.maps import LAYOUTS

pytestmark = pytest.mark.kernels

Network = Literal["resnet18", "resnet50"]
BLOCKS: dict[Network, int] = {"resnet18": 8, "resnet50": 16}

# Beyond those of the plain network. A pass that takes the means along takes the place of one that
# does not: tail_squeeze_ that of tail_, behind the stem and where means are taken ahead of the
# last convolution that of relu_; and so does tail_ where it multiplies what it rectifies.
ADDED: dict[Network, dict[str, dict[str, int]]] = {
    "resnet18": {
        "standard": {"squeeze": 8, "excite": 8},
        "prenorm": {"squeeze": 8, "excite": 8},
        # The last block's map has no reader, so that its means alone are multiplied.
        "post": {"tail_": 0, "tail_squeeze_": 7, "excite": 8, "mul": 1},
        "identity": {"relu_": -1, "tail_": -7, "tail_squeeze_": 8, "excite": 8, "scale": 3},
        "pre": {"relu_": -1, "tail_": -7, "tail_squeeze_": 8, "excite": 8, "scale": 8},
        "inner": {"relu_": -8, "tail_": 8, "squeeze": 8, "excite": 8},
    },
    "resnet50": {
        "standard": {"relu_": -16, "tail_squeeze_": 16, "excite": 16},
        "prenorm": {"relu_": -16, "tail_squeeze_": 16, "excite": 16},
        "post": {"tail_": 0, "tail_squeeze_": 15, "excite": 16, "mul": 1},
        "identity": {"relu_": -1, "tail_": -15, "tail_squeeze_": 16, "excite": 16, "scale": 4},
        "pre": {"relu_": -1, "tail_": -15, "tail_squeeze_": 16, "excite": 16, "scale": 16},
        "inner": {"relu_": -16, "tail_": 16, "squeeze": 16, "excite": 16},
    },
}  # fmt: skip
# What else one image in float32 changes: gates multiply weights that are fewer than its values.
OF_ONE_IMAGE: dict[Network, dict[str, dict[str, int]]] = {
    "resnet18": {
        "identity": {"scale": -2, "mul": 2},
        "pre": {"scale": -3, "mul": 3},
        "inner": {"tail_": -2, "squeeze": -2, "tail_squeeze_": 2, "mul": 2},
    },
    "resnet50": {
        "identity": {"scale": -2, "mul": 2},
        "pre": {"scale": -8, "mul": 8},
        "inner": {"tail_": -7, "squeeze": -7, "tail_squeeze_": 7, "mul": 7},
    },
}


@cache
def counted(
    network: Network, placement: Any, dtype: torch.dtype, batch: int, layout: Any
) -> tuple[Counter[str], list[int]]:
    """Of the fused network, and of each of its blocks."""
    with torch.device("meta"):
        trunk = getattr(se_models, network)()
    model = with_se(trunk, SEConfig(placement)).eval().to(dtype)
    images = torch.empty(batch, 3, 224, 224, dtype=dtype, device="meta")
    return launches(fuse(model), images.contiguous(memory_format=layout))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("placement", [each for each in PLACEMENTS if each != "none"])
@pytest.mark.parametrize("network", BLOCKS)
def test_what_se_adds_is_known(
    network: Network, placement: str, batch: int, dtype: torch.dtype, layout: Any
) -> None:
    """To the operator; and to each block it is at most two launches, in every placement.

    They are the two layers, and either the mean or the product: what is left of the
    three goes along with a pass that the plain block has.
    """
    names, of_blocks = counted(network, placement, dtype, batch, layout)
    plain_names, plain_of_blocks = counted(network, "none", dtype, batch, layout)
    expected = Counter(ADDED[network][placement])
    if batch == 1 and dtype == torch.float32:
        expected.update(OF_ONE_IMAGE[network].get(placement, {}))
    more = Counter(names)
    more.subtract(plain_names)
    assert {name: count for name, count in more.items() if count} == {
        name: count for name, count in expected.items() if count
    }
    added = [ours - plain for ours, plain in zip(of_blocks, plain_of_blocks, strict=True)]
    assert len(added) == BLOCKS[network]
    assert max(added) <= 2
    assert sum(added) == sum(expected.values())  # outside of blocks nothing is added


def test_a_plain_network_is_convolutions_and_passes() -> None:
    """What SE is counted beside: a tail for each block, and none of it unseen."""
    names, _ = counted("resnet18", "none", torch.float16, 2, torch.contiguous_format)
    assert {name: count for name, count in names.items() if count} == {
        "convolution": 20, "relu_": 9, "max_pool2d_with_indices": 1, "tail_": 7,
        "tail_squeeze_": 1, "_to_copy": 1, "addmm": 1,
    }  # fmt: skip


@pytest.mark.parametrize(("more", "launched"), [(0, 1), (1, 2)])
def test_an_excitation_is_one_launch_up_to_a_batch_that_is_told(more: int, launched: int) -> None:
    """As many images as there are counters for; the page tells the same number."""
    batch = COUNTERS * IMAGES
    recorder = Recorder()
    counters = torch.zeros(COUNTERS, dtype=torch.int32, device="meta")
    with torch.device("meta"):
        layers = torch.empty(16, 256), None, torch.empty(256, 16), None, None
        means = torch.empty(batch + more, 256)
    Operators(recorder, lambda _device: counters).excite(means, *layers)
    assert len(recorder.launches) == launched
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"for every {batch:,} images" in page
