"""Random schedules differ from test to test and from launch to launch, and can be had again."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from se_models.fused.cuda.launch import Launch
from tests.se_models.fused.cuda import emulator

pytestmark = pytest.mark.kernels

_SEEDS: set[int] = set()


@pytest.mark.parametrize("case", range(3))
def test_every_case_has_its_own(case: int, seed: int) -> None:
    """Of 32 bits."""
    assert 0 <= seed < 2**32
    assert seed not in _SEEDS
    _SEEDS.add(seed)


def test_it_is_told(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, which pytest shows of tests that fail."""
    seed = request.getfixturevalue("seed")
    assert capsys.readouterr().out == f"random schedules from seed {seed}\n"


def test_every_launch_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the first again past the last."""
    taken: list[int] = []

    def launch(*arguments: Any) -> None:
        given: ctypes.c_uint32 = arguments[-1]
        taken.append(given.value)

    library = SimpleNamespace(emulated_launch=launch)
    monkeypatch.setattr(emulator, "_library", lambda _dtype: library)
    monkeypatch.setattr(emulator, "parameters", lambda _dtype, _kernel: ())
    backend = emulator.Emulator("random", seed=2**32 - 2)
    for _ in range(3):
        backend.launch(Launch("some_kernel", torch.float32, (1, 1), ()))
    assert taken == [2**32 - 2, 2**32 - 1, 0]
