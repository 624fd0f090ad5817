"""The kernels' experiment ends in a table that the documents can show."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.documents.kernels import markdown
from bench.measure import bandwidth
from bench.measure.bandwidth import KERNELS, TRUNK, maps_of


def test_maps_are_those_of_the_blocks() -> None:
    """Channels and side of each block's output, and how many blocks have it."""
    assert maps_of("resnet18") == {(64, 56): 2, (128, 28): 2, (256, 14): 2, (512, 7): 2}
    assert maps_of("resnet50") == {(256, 56): 3, (512, 28): 4, (1024, 14): 6, (2048, 7): 3}


def test_every_kernel_has_a_time_on_every_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the plain network beside them; the documents make their tables of it."""
    for name, values in {
        "ARCHITECTURES": ("resnet18",), "LAYOUTS": ("contiguous",), "BATCHES": (1,), "FORWARDS": 1,
        "SAMPLE_S": 1e-6,
    }.items():  # fmt: skip
        monkeypatch.setattr(bandwidth, name, values)
    threads = str(torch.get_num_threads())  # which the experiment sets for the whole process
    bandwidth.main(["--out", str(tmp_path), "--rounds", "1", "--threads", threads])
    frame = pd.read_csv(tmp_path / KERNELS)
    assert len(frame) == 4 * 8 + 1
    assert (frame["seconds"] > 0).all()
    moved = frame.set_index(["side", "kernel"])["moved_bytes"]
    assert moved.loc[(56, "tail_, gate")] == 3 * 4 * 64 * 56 * 56
    assert frame.loc[frame["kernel"] == TRUNK, "moved_bytes"].isna().all()
    assert "| resnet18, batch 1, contiguous " in markdown(frame)
