"""Names: as short as they can be told apart; what is near is said."""

from __future__ import annotations

import pytest

from bench.compare.lookup import find_trial
from bench.grid import Grid
from bench.trial import Path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("standart-r16", "no trial; the nearest trials are standard-r16,"),
        ("resnet81/standard-r4", "nearest trials are resnet18/standard-r4,"),
        ("standard-r4", "fits 2 trials, so give more of the key: resnet18/standard-r4@.*-b1-.*-b8"),
        ("none", "fits 2 trials"),
        ("standard-r4@cpu-float32-contiguous-b1", "names no run and no trial"),
    ],
)
def test_a_name_that_fits_none_or_several_says_which_are_near(name: str, message: str) -> None:
    """By the kind of name that was given."""
    trials = Grid(placements=("standard",), reductions=(4, 16), batches=(1, 8)).trials()
    with pytest.raises(ValueError, match=message):
        find_trial(trials, name)


def test_a_trial_is_named_by_as_much_of_its_key_as_it_takes() -> None:
    """A label will do in one setting; else the key up to any @, with its front or without."""
    trials = Grid(placements=("standard",), reductions=(4,), batches=(1, 8)).trials()
    wanted = trials[-1]
    assert find_trial([wanted], "standard-r4") == wanted
    for name in (wanted.key, wanted.setting.key.replace("resnet18", "standard-r4")):
        assert find_trial(trials, name) == wanted
        assert find_trial(trials, name.rpartition("@")[0]) == wanted


def test_a_trial_by_another_path_is_named_with_its_path() -> None:
    """By the path's label or its key; without, eager PyTorch is meant if it was measured."""
    grid = Grid(placements=("standard",), reductions=(4,), paths=(Path(), Path("fused")))
    trials = grid.trials()
    eager, fused = (trial for trial in trials if trial.variant.se.placement == "standard")
    assert find_trial(trials, "standard-r4") == eager
    for name in ("standard-r4@fused", "resnet18/standard-r4@fused+eager", fused.key):
        assert find_trial(trials, name) == fused
    assert find_trial([fused], "standard-r4") == fused
    with pytest.raises(ValueError, match="names no run and no trial"):
        find_trial(trials, "standard-r4@onnxruntime")
