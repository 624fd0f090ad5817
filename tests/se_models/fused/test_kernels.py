"""Kernels are there before a twin runs, or one warning says why there are none."""

from __future__ import annotations

import copy
import pickle
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from se_models.fused import fuse, kernels, rewrite
from tests.se_models.fused.threads import at_once


@pytest.fixture
def _no_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CPU for which none can be built, and nobody has been told."""
    monkeypatch.setattr(kernels, "load_cpu", lambda: "no compiler")
    kernels._warn.cache_clear()
    yield
    kernels._warn.cache_clear()


def test_kernels_are_there_for_this_cpu() -> None:
    """Nothing is missing, and nothing is told."""
    assert kernels.missing("cpu") is None
    assert kernels.load(torch.device("cpu"))


@pytest.mark.usefixtures("_no_kernels")
def test_why_there_are_none_can_be_asked() -> None:
    """Without a warning, which would be an error here."""
    assert kernels.missing("cpu") == "no compiler"
    assert kernels.missing("meta") is None
    assert kernels.missing("xpu") == "none are written for devices of type xpu"


@pytest.mark.usefixtures("_no_kernels")
def test_why_there_are_none_is_told_once(trunk: Any) -> None:
    """For each type of device, however many twins are made, and whoever asked before."""
    assert kernels.missing("cpu") == "no compiler"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fuse(trunk)
        copy.deepcopy(fuse(trunk))
        assert not kernels.load(torch.device("cpu"))
        assert not kernels.load(torch.device("xpu"))
        assert not kernels.load(torch.device("xpu", 1))
    assert [each.category for each in told] == [RuntimeWarning, RuntimeWarning]
    assert "no kernels for fused blocks on this cpu" in str(told[0].message)
    assert str(told[0].message).endswith(": no compiler")
    assert "on this xpu" in str(told[1].message)
    assert told[0].filename == __file__


@pytest.mark.usefixtures("_no_kernels")
def test_threads_that_come_at_once_tell_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why there are none."""
    told: list[str] = []

    def slow(message: str, *_given: object, **_options: object) -> None:
        told.append(message)
        time.sleep(0.05)  # the other threads come meanwhile

    monkeypatch.setattr(warnings, "warn", slow)
    assert at_once(kernels.load, [torch.device("cpu")] * 4) == [False] * 4
    assert len(told) == 1


def test_whatever_makes_a_twin_loads_them(trunk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fusing, moving, loading a state, copying and unpickling, each for the device it is on."""
    asked: list[torch.device] = []
    monkeypatch.setattr(rewrite, "load_kernels", asked.append)
    fused = fuse(trunk)
    for make in (
        lambda: fused.double(),
        lambda: fused.load_state_dict(trunk.state_dict()),
        lambda: copy.deepcopy(fused),
        lambda: pickle.loads(pickle.dumps(fused)),
    ):
        before = len(asked)
        make()
        assert len(asked) == before + 1
    fused.to("meta")
    assert asked[-1] == torch.device("meta")
    assert set(asked[:-1]) == {torch.device("cpu")}
