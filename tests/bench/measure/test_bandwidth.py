"""The kernels' experiment ends in a table that the documents can show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.documents.kernels import markdown
from bench.measure import bandwidth, subject
from bench.measure.bandwidth import KERNELS, TRUNK, maps_of, open_twin, samples
from bench.measure.controls import CONTROL
from bench.trial import Trial, Variant, Workload
from se_models.config import SEConfig


def test_maps_are_those_of_the_blocks() -> None:
    """Channels and side of each block's output, and how many blocks have it."""
    assert maps_of("resnet18", 224) == {(64, 56): 2, (128, 28): 2, (256, 14): 2, (512, 7): 2}
    assert maps_of("resnet50", 64) == {(256, 16): 3, (512, 8): 4, (1024, 4): 6, (2048, 2): 3}


def test_every_call_of_a_twin_has_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside torch's own, and the plain network; memory is kept; documents make tables of it."""
    kept = []
    for name, value in {
        "ARCHITECTURES": ("resnet18",), "LAYOUTS": ("contiguous",), "BATCHES": (1,), "FORWARDS": 1,
        "SAMPLE_S": 1e-6, "SIZE": 32, "TWINS": ("none", "standard"),
        "keep_freed_memory": lambda: kept.append(True),
    }.items():  # fmt: skip
        monkeypatch.setattr(bandwidth, name, value)
    threads = str(torch.get_num_threads())  # which the experiment sets for the whole process
    bandwidth.main(["--out", str(tmp_path), "--rounds", "1", "--threads", threads])
    assert kept
    frame = pd.read_csv(tmp_path / KERNELS)
    assert (frame["seconds"] > 0).all()
    assert set(zip(frame["size"], frame["dtype"], strict=True)) == {(32, "float32")}
    blocks = frame[frame["kernel"] == CONTROL]
    assert list(blocks["none"]) == [2, 2, 2, 2]
    assert blocks["moved_bytes"].iloc[0] == 3 * 4 * 64 * 8 * 8
    beside = frame[~frame["kernel"].isin([CONTROL, TRUNK])]
    assert beside[["control", "control_bytes", "control_seconds"]].notna().all(axis=None)
    # Every block of the twin as published is a call that the plain one's is not, and all are seen.
    tails = beside[beside["kernel"].str.contains("tail_")]
    assert tails[["none", "standard"]].sum().tolist() == [8, 8]
    text = markdown(frame)
    assert "| resnet18, batch 1, contiguous " in text
    assert "`standard`" in text


def test_gates_of_what_is_called_again_are_one() -> None:
    """Of maps that sums have made large, too: or what is multiplied in place would vanish."""
    workload = Workload(size=32)
    trial = Trial(Variant("resnet18", SEConfig("inner")), workload)
    twin = open_twin(trial, subject.Trunks())
    excitation = twin.get_submodule("blocks.0.excitation")
    for means in (torch.rand(1, 64), 1e6 * torch.rand(1, 64)):
        assert torch.equal(excitation(means), torch.ones(1, 64))


def test_each_sample_is_behind_a_call_that_leaves_its_tensors_warm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In every round each runs twice in a row, and the second time is told."""
    monkeypatch.setattr(bandwidth, "SAMPLE_S", 0.0)
    ran: list[str] = []

    def noting(name: str) -> Callable[[], object]:
        return lambda: ran.append(name)

    assert samples([noting("a"), noting("b")], rounds=4).shape == (2, 4)
    asked, rounds = ran[:4], ran[4:]
    assert asked == ["a", "a", "b", "b"]
    assert all(one == other for one, other in zip(rounds[::2], rounds[1::2], strict=True))
    assert rounds.count("a") == rounds.count("b") == 8
