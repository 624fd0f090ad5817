"""What docs/paths.md says of exported files."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.documents.onnx_files import markdown


def frame() -> pd.DataFrame:
    files = [
        ("resnet18", "none", "model", 5.38e-7, 1e-4),
        ("resnet18", "post", "model", 1.26e-4, 2.4e-4),
        ("resnet18", "none", "layer3", 3.04e-7, 1e-4),
    ]
    rows = pd.DataFrame(files, columns=["architecture", "placement", "part", "difference", "limit"])
    return rows.assign(size=96, batches="1+2+5", torch="2.9.1", onnxruntime="1.23.0")


def test_files_stand_by_part_and_placement() -> None:
    """Each beside its limit, a dash for what was not exported; and the caption says how."""
    text = markdown(frame())
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    assert lines == [
        ["architecture", "part", "plain trunk", "post"],
        ["resnet18", "model", "5.4e-07 of 1e-04", "1.3e-04 of 2e-04"],
        ["resnet18", "layer3", "3.0e-07 of 1e-04", "–"],
    ]
    caption = text.splitlines()[0]
    assert "with torch 2.9.1 and onnxruntime 1.23.0 on the CPU: 3 files" in caption
    assert "for 1, 2 and 5 random images of 96 px" in caption


@pytest.mark.parametrize(
    ("column", "other"), [("size", 64), ("batches", "1"), ("torch", "2.0"), ("onnxruntime", "1.0")]
)
def test_files_that_were_made_otherwise_share_no_caption(column: str, other: Any) -> None:
    """The caption would be wrong of some."""
    mixed = pd.concat([frame(), frame().assign(**{column: other})])
    with pytest.raises(ValueError, match=f"{column} must be one for all rows, got "):
        markdown(mixed)
