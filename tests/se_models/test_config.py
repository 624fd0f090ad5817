"""SEConfig accepts what names a variant, refuses the rest, and labels it."""

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import se_models
from se_models import PLACEMENTS, SEConfig

STAGES_RULE = "stages must be a non-empty selection of 1 to 4 (layer1 to layer4)"
BLOCKS_RULE = "blocks must be 'all', 'last' or a non-empty selection of indices from 0"


def test_defaults() -> None:
    """The default is the paper's SE: standard placement, r = 16, every block, biases."""
    assert SEConfig() == SEConfig("standard", 16, (1, 2, 3, 4), "all", 1, True)


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({}, "standard-r16"),
        ({"placement": "none", "reduction": 4, "stages": (1,)}, "none"),
        ({"placement": "pre", "reduction": 2}, "pre-r2"),
        ({"placement": "post", "stages": (4, 3)}, "post-r16-layer3+4"),
        ({"placement": "identity", "bias": False}, "identity-r16-nobias"),
        ({"placement": "inner", "min_hidden": 32}, "inner-r16-min32"),
        ({"blocks": (2, 0)}, "standard-r16-block0+2"),
        (
            {"placement": "prenorm", "reduction": 8, "stages": (3,), "blocks": "last"},
            "prenorm-r8-layer3-last",
        ),
    ],
)
def test_label(settings: dict[str, Any], label: str) -> None:
    """The label names what differs from the default, in a fixed order."""
    assert SEConfig(**settings).label == label


def test_labels_are_distinct() -> None:
    """No two variants with SE share a label, which is plain ASCII without spaces."""
    grid: Any = product(
        [placement for placement in PLACEMENTS if placement != "none"],
        (1, 16, 161),
        ((1,), (1, 2), (1, 2, 3, 4)),
        ("all", "last", (1,), (1, 2), (12,)),
        (1, 32),
        (True, False),
    )
    labels = [SEConfig(*settings).label for settings in grid]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"[a-z0-9+-]+", label) for label in labels)


@pytest.mark.parametrize("stages", [(4, 2), [2, 4], (2, 4, 2), {4, 2}, range(2, 5, 2)])
def test_stages_are_sorted_once_each(stages: Any) -> None:
    """Stages become a sorted tuple without repeats, so that equal choices are equal."""
    assert SEConfig(stages=stages).stages == (2, 4)
    assert hash(SEConfig(stages=stages)) == hash(SEConfig(stages=(2, 4)))


@pytest.mark.parametrize("blocks", [(1, 0), [0, 1], (1, 1, 0), {0, 1}, range(2)])
def test_blocks_are_sorted_once_each(blocks: Any) -> None:
    """Block indices become a sorted tuple without repeats, so that equal choices are equal."""
    assert SEConfig(blocks=blocks).blocks == (0, 1)
    assert hash(SEConfig(blocks=blocks)) == hash(SEConfig(blocks=(0, 1)))


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("placement", "Standard", f"placement must be one of {', '.join(PLACEMENTS)}"),
        ("placement", None, f"placement must be one of {', '.join(PLACEMENTS)}"),
        *(
            (field, value, f"{field} must be a positive integer")
            for field in ("reduction", "min_hidden")
            for value in (0, -1, 2.5, True, "16", None)
        ),
        *(
            ("stages", value, STAGES_RULE)
            for value in ((), (0,), (1, 5), ("1",), (True,), (1.0,), "1", 3, None)
        ),
        *(
            ("blocks", value, BLOCKS_RULE)
            for value in ((), (-1,), (0, 1.0), (True,), ("0",), "first", 0, None)
        ),
        ("bias", 1, "bias must be True or False"),
        ("bias", None, "bias must be True or False"),
    ],
)
def test_refusals(field: str, value: object, rule: str) -> None:
    """What cannot be built is a ValueError that names the field, its rule and the value."""
    settings: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"^{re.escape(f'{rule}, got {value!r}')}$"):
        SEConfig(**settings)


def test_frozen() -> None:
    """A config cannot change after it was validated."""
    with pytest.raises(FrozenInstanceError):
        SEConfig().reduction = 0  # type: ignore[misc]


def test_config_needs_no_torch() -> None:
    """Importing se_models.config imports neither torch nor torchvision."""
    code = (
        "import sys, se_models.config\n"
        "print(sorted({'torch', 'torchvision'} & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_public_names_load() -> None:
    """Every name that the package announces can be had."""
    names = dir(se_models)
    assert {"SEConfig", "SqueezeExcitation", "calibrate_batch_norm", "with_se"} <= set(names)
    assert [name for name in names if not hasattr(se_models, name)] == []
