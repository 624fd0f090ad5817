"""Exports of trials: made once, found by all that come later, with what making them took."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import pytest
import torch
from torch import nn

from bench.measure.paths import export
from bench.measure.paths.export import OnnxExport, export_of
from bench.trial import ExecutorName, Path, Trial, Variant, Workload
from se_models.config import SEConfig


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The models that were exported, into files with a single word in them."""
    models: list[nn.Module] = []

    def to_onnx(model: nn.Module, example: torch.Tensor, *, any_batch: bool) -> bytes:
        assert not any_batch
        models.append(model)
        return b"exported"

    monkeypatch.setattr(export, "to_onnx", to_onnx)
    return models


def trial(executor: ExecutorName = "onnxruntime", placement: str = "standard") -> Trial:
    config = SEConfig(placement)  # type: ignore[arg-type]
    return Trial(Variant("resnet18", config), Workload(threads=2), Path(executor=executor))


def load(found: OnnxExport) -> FilePath:
    with found.loadable(nn.Identity(), torch.ones(1)) as file:
        assert file.read_bytes() == b"exported"
        return file


def test_only_the_first_exports(tmp_path: FilePath, made: list[nn.Module]) -> None:
    """Whatever runtime comes next, and with however many threads, loads the same file."""
    first = export_of(trial(), tmp_path / "kept")
    assert not first.is_made
    file = load(first)
    assert first.spared_s == 0.0
    others = (trial("openvino"), replace(trial(), workload=Workload(threads=1)))
    for other in others:
        found = export_of(other, tmp_path / "kept")
        assert found.is_made
        assert load(found) == file
        assert found.spared_s > 0.0
    assert len(made) == 1
    assert load(export_of(trial(placement="post"), tmp_path / "kept")) != file
    assert len(made) == 2


def test_what_is_kept_nowhere_is_gone_once_it_is_loaded(made: list[nn.Module]) -> None:
    """Each time it is exported anew."""
    unkept = export_of(trial(), None)
    files = [load(unkept), load(unkept)]
    assert len(made) == 2
    assert not any(file.exists() for file in files)
    assert not unkept.is_made


def test_what_loads_no_export_has_none(tmp_path: FilePath, made: list[nn.Module]) -> None:
    """Though a runtime has made that of the same variant."""
    load(export_of(trial(), tmp_path))
    assert not export_of(trial("compile"), tmp_path).is_made


def test_an_export_that_fails_leaves_no_file(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one that wants it tries again."""

    def to_onnx(model: nn.Module, example: torch.Tensor, *, any_batch: bool) -> bytes:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(export, "to_onnx", to_onnx)
    with pytest.raises(RuntimeError, match="no such operator"):
        load(export_of(trial(), tmp_path))
    assert not export_of(trial(), tmp_path).is_made
