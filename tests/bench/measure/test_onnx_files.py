"""Differences of ONNX files are those of the export's own check."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from bench.measure import onnx_files
from se_models import PLACEMENTS
from se_models.export import Check


def test_every_placement_is_exported_whole() -> None:
    """Of both architectures; and one stage alone, of SE as published."""
    files = list(onnx_files.files())
    assert len(files) == len(set(files)) == 2 * (len(PLACEMENTS) + 1)
    for architecture in ("resnet18", "resnet50"):
        whole = [each for each in files if each[0] == architecture and each[2] == "model"]
        assert [placement for _, placement, _ in whole] == list(PLACEMENTS)
        assert (architecture, "standard", "layer3") in files


def test_a_row_tells_the_largest_difference() -> None:
    """With what was allowed of that one."""
    check = Check(
        Path("x.onnx"), (3, 96, 96), {1: 1e-6, 2: 2e-4, 5: 3e-6}, {1: 1e-4, 2: 4e-4, 5: 1e-4}
    )
    row = onnx_files.row("resnet18", "post", "model", 96, check)
    assert (row.batches, row.difference, row.limit, row.size) == ("1+2+5", 2e-4, 4e-4, 96)


def test_the_export_is_asked_for_what_the_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that is settled by images of its size; a part that is no stage is all of it."""
    asked: list[Any] = []
    settled: list[Any] = []

    def export(model: Any, path: Path, *, stage: str | None, size: int) -> None:
        gates = [type(block.se).__name__ for block in model.layer3 if hasattr(block, "se")]
        asked.append((len(gates), stage, size, path.parent.exists()))

    def settle(_model: object, images: Any) -> None:
        settled.append(tuple(images.shape))

    monkeypatch.setattr(onnx_files, "export", export)
    monkeypatch.setattr(onnx_files, "settle", settle)
    onnx_files.exported("resnet18", "none", "model", 64)
    onnx_files.exported("resnet18", "standard", "layer3", 64)
    assert asked == [(0, None, 64, True), (2, "layer3", 64, True)]
    assert settled == [(4, 3, 64, 64)] * 2


def test_the_command_leaves_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each file, of the size that was asked for."""
    check = Check(Path("x.onnx"), (3, 96, 96), {1: 1e-6}, {1: 1e-4})
    monkeypatch.setattr(onnx_files, "exported", lambda *_given: check)
    onnx_files.main(["--out", str(tmp_path / "new"), "--size", "96"])
    with (tmp_path / "new" / onnx_files.DIFFERENCES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(each["architecture"], each["placement"], each["part"]) for each in rows] == list(
        onnx_files.files()
    )
    assert {(each["size"], each["difference"]) for each in rows} == {("96", "1e-06")}
