"""Exported files compute what the model does, for any batch, or are not there."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import se_models.export as exporting
from se_models import ARCHITECTURES, PLACEMENTS, SEConfig, with_se
from se_models.__main__ import main
from se_models.export import ExportError, export


def run(path: Path, given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["input"]
    assert [each.name for each in session.get_outputs()] == ["output"]
    (output,) = session.run(None, {"input": given})
    return np.asarray(output)


@pytest.mark.slow
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["basic", "bottleneck"])
def test_a_model_exports(
    deep: bool, placement: Any, trunk: Any, deep_trunk: Any, tmp_path: Path
) -> None:
    """In every placement, of either kind of block; the batch is whatever it is given."""
    model = with_se(deep_trunk if deep else trunk, SEConfig(placement)).eval()
    path = tmp_path / "new" / "model.onnx"
    check = export(model, path, size=64)
    assert check.largest <= 1e-4
    assert list(check.differences) == [1, 2, 5]
    assert check.shape == (3, 64, 64)
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        np.testing.assert_allclose(run(path, images.numpy()), model(images), atol=1e-3)
    assert [each.name for each in path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["layer1", "layer3"])
def test_a_stage_exports_alone(stage: str, trunk: Any, tmp_path: Path) -> None:
    """Its input is what the model gives it, by its own size."""
    model = with_se(trunk, SEConfig("identity")).eval()
    check = export(model, tmp_path / "stage.onnx", stage=stage, size=64)
    assert check.shape == {"layer1": (64, 16, 16), "layer3": (128, 8, 8)}[stage]
    given = torch.randn(2, *check.shape)
    with torch.no_grad():
        expected = model.get_submodule(stage)(given)
    np.testing.assert_allclose(run(check.path, given.numpy()), expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_exports(architecture: str, tmp_path: Path) -> None:
    """By the command, which prints the largest difference."""
    path = tmp_path / "model.onnx"
    assert main(["export", str(path), "--architecture", architecture, "--size", "64"]) == 0
    assert path.exists()


def test_a_wrong_file_is_not_kept(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor folders for it; nor is what was there before touched, and a note says whose that is."""
    path = tmp_path / "new" / "newer" / "model.onnx"
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: 2e-4)
    with pytest.raises(ExportError, match=r"differs from the model by 0\.0002") as failed:
        export(trunk, path, size=64)
    assert not hasattr(failed.value, "__notes__")
    assert not list(tmp_path.iterdir())
    path.parent.mkdir(parents=True)
    path.write_text("an older file")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: float("nan"))
    with pytest.raises(ExportError) as failed:
        export(trunk, path, size=64)
    assert failed.value.__notes__ == [f"what lies at {path} is an older file, as it was"]
    assert path.read_text() == "an older file"
    assert list(path.parent.iterdir()) == [path]


def with_head(trunk: Any, value: float) -> Any:
    """Whatever it is given, it puts out ``value``."""
    model = copy.deepcopy(trunk)
    torch.nn.init.zeros_(model.fc.weight)
    torch.nn.init.constant_(model.fc.bias, value)
    return model


def a_session(output: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file onnxruntime is given, this comes out."""
    session = SimpleNamespace(run=lambda *_given: [output.numpy()])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_given, **_options: session)
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")


@pytest.mark.parametrize(
    ("output", "difference"), [(0.0, 0.0), (1e-3, float("inf")), (float("nan"), float("nan"))]
)
def test_an_output_that_is_all_zero_is_compared(
    output: float,
    difference: float,
    trunk: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a head before its training; a file that puts out anything else is refused."""
    model = with_head(trunk, 0.0)
    a_session(torch.full((1, model.fc.out_features), output), monkeypatch)
    path = tmp_path / "model.onnx"
    if difference == 0:
        assert export(model, path, size=64, batches=[1]).largest == 0
        assert exporting._rounding(model, torch.zeros(1, 3, 64, 64)) == 0
    else:
        with pytest.raises(ExportError, match=f"differs from the model by {difference} "):
            export(model, path, size=64, batches=[1])
    assert path.exists() == (difference == 0)


def test_an_output_that_is_not_finite_is_named(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the model's; the file may be right."""
    model = with_head(trunk, torch.inf)
    a_session(torch.full((1, model.fc.out_features), torch.inf), monkeypatch)
    with pytest.raises(ExportError, match=r"model's own output is not finite for 1 images"):
        export(model, tmp_path / "model.onnx", size=64, batches=[1])
    assert not list(tmp_path.iterdir())


def test_what_rounding_explains_is_asked_of_no_good_file(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a copy of the model and a forward in float64, for every batch."""
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: 1e-4)
    monkeypatch.delattr(exporting, "_rounding")
    assert export(trunk, tmp_path / "model.onnx", size=64).largest == 1e-4


@pytest.mark.parametrize(
    ("rounding", "difference", "limit"),
    [(1e-7, 9e-5, 1e-4), (1e-4, 3e-4, 4e-4), (1e-4, 5e-4, None), (0.5, 0.02, None)],
)
def test_a_file_may_differ_by_what_rounding_explains(
    rounding: float,
    difference: float,
    limit: float | None,
    trunk: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few times what float32 is off from float64, but never by what a wrong operator is off."""
    path = tmp_path / "model.onnx"
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: difference)
    monkeypatch.setattr(exporting, "_rounding", lambda module, given: rounding)
    if limit is not None:
        check = export(trunk, path, size=64)
        assert (check.largest, check.limit) == (difference, limit)
    else:
        with pytest.raises(ExportError, match=f"differs from the model by {difference:.2g}"):
            export(trunk, path, size=64)
    assert path.exists() == (limit is not None)


def test_other_dtypes_are_refused(trunk: Any, tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(ValueError, match=r"model must be of float32, got torch.float64"):
        export(copy.deepcopy(trunk).double(), tmp_path / "x.onnx")


@pytest.mark.parametrize("batches", [(), (1, 0)])
def test_batches_that_are_none_are_refused(
    batches: tuple[int, ...], trunk: Any, tmp_path: Path
) -> None:
    """Of no image there is nothing to compare."""
    with pytest.raises(ValueError, match="batches must be at least one, of 1 image or more, got"):
        export(trunk, tmp_path / "x.onnx", batches=batches)


def test_what_a_link_leads_to_is_written(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the link stays; however long the file's name is."""
    real, link = tmp_path / f"{'a' * 245}.onnx", tmp_path / "link.onnx"
    real.write_text("an older file")
    link.symlink_to(real)
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: 0.0)
    export(trunk, link, size=64)
    assert link.is_symlink()
    assert real.read_bytes() == b"draft"
    assert set(tmp_path.iterdir()) == {link, real}
