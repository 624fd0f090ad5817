"""What docs/fused.md says of the kernels' first use."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.documents.first_use import markdown

ROW = {
    "machine": "a processor", "torch": "2.9.1", "build_s": 61.7, "model_s": 2.345,
    "later_s": 0.2, "later_low_s": 0.154, "later_high_s": 0.25,
    "control_s": -0.01, "control_low_s": -0.05, "control_high_s": 0.03, "rounds": 15,
}  # fmt: skip


def test_differences_have_their_intervals() -> None:
    """And what they are held against, and how it was measured."""
    text = markdown(pd.DataFrame([ROW]))
    assert "On a processor, with torch 2.9.1, the first process builds the kernels, in 62 s" in text
    assert "takes 0.20 [0.15, 0.25] s longer than one that imports `se_models`" in text
    assert "which takes 2.35 s; a second one of these differs by -0.01 [-0.05, 0.03] s" in text
    assert "15 rounds" in text


def test_one_machine_is_told_alone() -> None:
    """Of two the paragraph would be wrong of one."""
    with pytest.raises(ValueError, match="must have one row, got 2"):
        markdown(pd.DataFrame([ROW, ROW]))
