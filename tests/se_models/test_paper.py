"""Parameter counts against those that the paper prints, and against its formula.

Hu et al., "Squeeze-and-Excitation Networks" (arXiv 1709.01507), tables 10, 13
and 15 and section 4; the figures are in tests/reference.
"""

import csv
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from se_models import SEConfig, with_se

TABLE = Path(__file__).parents[1] / "reference" / "senet_paper.csv"
# The number of blocks in each stage, and the channels that they put out.
STAGES = {
    "resnet18": ((2, 2, 2, 2), (64, 128, 256, 512)),
    "resnet50": ((3, 4, 6, 3), (256, 512, 1024, 2048)),
    "resnet152": ((3, 8, 36, 3), (256, 512, 1024, 2048)),
}


def printed_counts() -> list[dict[str, str]]:
    with TABLE.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["params_m"]]


def stages_of(printed: str) -> tuple[int, ...]:
    """The paper's stages as torchvision's: its stage k is layer{k-1}."""
    if not printed:
        return (1, 2, 3, 4)
    first, _, last = printed.partition("-")
    return tuple(range(int(first) - 1, int(last or first)))


@cache
def parameters(architecture: str, config: SEConfig) -> int:
    with torch.device("meta"):
        model: nn.Module = with_se(models.get_model(architecture), config)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "row",
    printed_counts(),
    ids=lambda row: "-".join(row[key] for key in ("table", "placement", "reduction", "stages")),
)
def test_printed_count(row: dict[str, str]) -> None:
    """A model of the paper has as many parameters as printed, rounded up to 0.1 M."""
    placement: Any = row["placement"]
    config = SEConfig(placement, int(row["reduction"] or 16), stages_of(row["stages"]))
    count = parameters(row["model"], config)
    assert math.ceil(count / 1e5) == round(float(row["params_m"]) * 10)


def test_printed_counts_are_all_there() -> None:
    """The counts checked are the six of table 10, the three of table 13 and table 15's."""
    assert [row["table"] for row in printed_counts()] == ["10"] * 6 + ["13"] * 3 + ["15"]


@pytest.mark.parametrize(
    ("architecture", "config", "count"),
    [
        ("resnet18", SEConfig("none"), 11_689_512),
        ("resnet18", SEConfig(), 11_689_512 + 89_080),
        ("resnet50", SEConfig("none"), 25_557_032),
        ("resnet50", SEConfig(), 28_088_024),
    ],
    ids=str,
)
def test_known_count(architecture: str, config: SEConfig, count: int) -> None:
    """The usual models have the parameter counts known of them, to the last one."""
    assert parameters(architecture, config) == count


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("reduction", [2, 16])
@pytest.mark.parametrize("architecture", STAGES)
def test_extra_parameters(architecture: str, reduction: int, bias: bool) -> None:
    """SE adds (2/r) * sum of N_s * C_s^2 weights, and C_s + C_s/r biases to each block."""
    blocks, channels = STAGES[architecture]
    pairs = list(zip(blocks, channels, strict=True))
    extra = 2 * sum(n * c**2 for n, c in pairs) // reduction
    if bias:
        extra += sum(n * (c + c // reduction) for n, c in pairs)
    plain = parameters(architecture, SEConfig("none"))
    with_extra = parameters(architecture, SEConfig(reduction=reduction, bias=bias))
    assert with_extra - plain == extra


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_late_stages_cost_more_than_early_ones(architecture: str) -> None:
    """SE in late stages has fewer parameters than SE everywhere, and more than in early stages."""
    early, late, everywhere = (
        parameters(architecture, SEConfig(stages=stages))
        for stages in ((1, 2), (3, 4), (1, 2, 3, 4))
    )
    assert parameters(architecture, SEConfig("none")) < early < late < everywhere
