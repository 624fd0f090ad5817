"""Flags that choose where SE stands are read as fields of SEConfig, or refused by their rule."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from se_models import flags


@pytest.mark.parametrize(
    ("read", "text", "meant"),
    [
        (flags.stages, "all", (1, 2, 3, 4)),
        (flags.stages, "4", (4,)),
        (flags.stages, "3+layer4", (3, 4)),
        (flags.blocks, "all", "all"),
        (flags.blocks, "last", "last"),
        (flags.blocks, "0+1", (0, 1)),
    ],
)
def test_it_is_what_was_meant(read: Callable[[str], Any], text: str, meant: object) -> None:
    """All, one, or several that are joined."""
    assert read(text) == meant


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (flags.stages, "last", r"must be all, or layers as in 3\+4, got 'last'"),
        (flags.blocks, "layer1", r"must be all, last, or indices as in 0\+1, got 'layer1'"),
        (flags.blocks, "", r"must be all, last, or indices as in 0\+1, got ''"),
    ],
)
def test_anything_else_is_refused(read: Callable[[str], Any], text: str, told: str) -> None:
    """By the rule and by what it is."""
    with pytest.raises(argparse.ArgumentTypeError, match=told):
        read(text)
