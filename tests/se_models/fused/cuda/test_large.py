"""What only large maps ask of the kernels, on maps that the emulator can do.

They are later turns of loops, and launches for a part of the images.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.measure.agreement import exact_gates, layers
from se_models.fused.cuda import dispatch, maps
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.maps import DTYPES
from tests.se_models.fused.cuda.checks import check_scale, check_squeeze, check_tail
from tests.se_models.fused.cuda.emulator import Emulator, arrivals
from tests.se_models.fused.maps import (
    EPILOGUES,
    LAYOUTS,
    TOLERANCE,
    drawn,
    exact_tail,
    off,
    tail_arguments,
)
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]

# More pixels than a block has rows for several channels at once, and than a warp takes at once;
# more than a block does, eight of half precision each; the same in planes of an odd size.
LONG = [(1, 16, 28, 28), (1, 8, 41, 27), (1, 2, 67, 41)]
# Images that fall into parts of two; of the latter parts do not begin where sixteen bytes do.
SEVERAL = [(5, 8, 5, 3), (5, 3, 3, 7)]


@pytest.fixture
def emulator(seed: int) -> Emulator:
    return Emulator("random", seed)


@pytest.fixture
def ours(emulator: Emulator) -> Operators:
    return Operators(emulator, arrivals)


def check(ours: Operators, shape: tuple[int, ...], dtype: torch.dtype, layout: Any) -> None:
    """Every operator on maps of one shape, with all that it may be given, is its formula."""
    for relu in (False, True):
        check_squeeze(ours, shape, dtype, layout, relu=relu)
    for stride in (1, 2):
        check_scale(ours, shape, dtype, layout, stride=stride)
    for given in EPILOGUES:
        check_tail(ours, shape, dtype, layout, given)


@pytest.mark.parametrize("shape", LONG, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_loops_go_round_more_than_once(
    layout: Any, dtype: torch.dtype, shape: tuple[int, ...], ours: Operators
) -> None:
    """Over pixels, over packs of a warp's plane and of a block's, in every dtype."""
    check(ours, shape, dtype, layout)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_run_is_longer_than_its_grid(
    layout: Any, dtype: torch.dtype, ours: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is of more values than the most blocks take at once; here by a block, or by three."""
    for blocks in (1, 3):
        monkeypatch.setattr(dispatch, "_RUN_BLOCKS", blocks)
        for given in ("", "s"):
            x = drawn(2, 9, 31, 37, dtype=dtype, layout=layout)
            arguments = tail_arguments(tuple(x.shape), dtype, given, layout)
            exact = exact_tail(x, *arguments)
            ours.tail_(x, *arguments)
            assert off(x, exact) <= TOLERANCE[dtype]


@pytest.mark.parametrize("shape", SEVERAL, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_map_in_parts_is_computed_whole(
    layout: Any,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    ours: Operators,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By images, each with its own gates, shortcut and means; as one too large for 32 bits is."""
    x = drawn(*shape, dtype=dtype, layout=layout)
    monkeypatch.setattr(maps, "MOST_VALUES", 2 * x[0].numel() + 1)
    ours.squeeze(x, False)
    assert len(emulator.launches) == 3
    check(ours, shape, dtype, layout)


@pytest.mark.parametrize("by_unit", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_means_in_parts_are_excited_whole(
    dtype: torch.dtype,
    by_unit: bool,
    ours: Operators,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By three, so that in each part the last image has none beside it."""
    monkeypatch.setattr(dispatch, "MOST_VALUES", 3 * 24)
    squeezed = drawn(8, 24)
    given = layers(24, 3, dtype, by_unit=by_unit, biased=True, factored=True)
    assert off(ours.excite(squeezed, *given), exact_gates(squeezed, given)) <= 1e-5
    assert emulator.launches == ["excite<2>"] * 3
