"""What the values of flags that choose where SE stands are read as, by every command."""

from __future__ import annotations

import argparse
from typing import Literal

from se_models.config import STAGES


def stages(text: str) -> tuple[int, ...]:
    """Layers such as all, 4, 3+4 or layer3+layer4, as the field of `SEConfig`.

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    if text == "all":
        return STAGES
    return _joined(text, "layer", "all, or layers as in 3+4")


def blocks(text: str) -> Literal["all", "last"] | tuple[int, ...]:
    """Blocks of a stage such as all, last, 0 or 0+1, as the field of `SEConfig`.

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    if text == "all":
        return "all"
    if text == "last":
        return "last"
    return _joined(text, "", "all, last, or indices as in 0+1")


def _joined(text: str, prefix: str, rule: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.removeprefix(prefix)) for part in text.split("+"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {rule}, got {text!r}") from None
