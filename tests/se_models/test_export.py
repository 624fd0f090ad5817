"""Exported files compute what the model does, for any batch, or are not there."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import se_models
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


def test_the_command_tells_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what the input is; a state dict goes in, of whatever SE."""
    config = SEConfig("post", 8, (3, 4), "last", min_hidden=48, bias=False)
    model = se_models.resnet18(se=config, num_classes=4)
    state = tmp_path / "state.pt"
    torch.save(model.state_dict(), state)
    path = tmp_path / "layer3.onnx"
    code = main([
        "export", str(path), "--placement", "post", "--reduction", "8", "--stages", "3+layer4",
        "--blocks", "last", "--min-hidden", "48", "--no-bias", "--part", "layer3", "--size", "64",
        "--classes", "4", "--state-dict", str(state),
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert f"{path}: input (batch, 128, 8, 8)" in said
    assert "onnxruntime differs from PyTorch by " in said
    assert "at 5 images" in said


def test_a_wrong_file_is_not_kept(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what was there before touched, and a note says whose file that is."""
    path = tmp_path / "model.onnx"
    monkeypatch.setattr(exporting, "to_onnx", lambda module, example: b"draft")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: 2e-4)
    with pytest.raises(ExportError, match=r"differs from the model by 0\.0002") as failed:
        export(trunk, path, size=64)
    assert not hasattr(failed.value, "__notes__")
    assert not list(tmp_path.iterdir())
    path.write_text("an older file")
    monkeypatch.setattr(exporting, "_difference", lambda draft, module, given: float("nan"))
    with pytest.raises(ExportError) as failed:
        export(trunk, path, size=64)
    assert failed.value.__notes__ == [f"what lies at {path} is an older file, as it was"]
    assert path.read_text() == "an older file"
    assert list(tmp_path.iterdir()) == [path]


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


@pytest.mark.parametrize("path", [".", "a folder"])
def test_a_folder_is_no_file(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told before anything is made, and before anything else is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a folder").mkdir()
    assert main(["export", path, "--size", "64"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(f"error: file must be the path of a file, got {path}\n")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RuntimeError("it does not work"), 1, "it does not work"),
        (KeyboardInterrupt(), 130, "interrupted; no file was written"),
    ],
    ids=["failed", "interrupted"],
)
def test_the_command_tells_whose_file_lies_there(
    error: BaseException,
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the same line as what went wrong."""
    path = tmp_path / "model.onnx"
    path.write_text("an older file")

    def fail(*_given: object) -> bytes:
        raise error

    monkeypatch.setattr(exporting, "to_onnx", fail)
    assert main(["export", str(path), "--size", "64"]) == code
    assert capsys.readouterr().err == (
        f"python -m se_models export: {told}; what lies at {path} is an older file, as it was\n"
    )


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


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--reduction", "0"], "reduction must be a positive integer, got 0"),
        (["--size", "32"], "size must be 33 or more, got 32"),
        (["--blocks", "2"], "blocks must exist in every chosen stage: layer1 of this model has"),
        (["--min-hidden", "0"], "min_hidden must be a positive integer, got 0"),
        (["--stages", "5"], "stages must be a non-empty selection of 1 to 4"),
        (["--classes", "0"], "classes must be a positive integer, got 0"),
        (["--weights", "NONE"], "weights must be a name of torchvision's for resnet18, got 'NONE'"),
        (["--weights", "DEFAULT", "--classes", "7"], "'num_classes' expected value 1000 but got 7"),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With code 2, and no file."""
    assert main(["export", str(tmp_path / "x.onnx"), *flags]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not list(tmp_path.iterdir())


def no_torch_file(path: Path) -> None:
    path.write_text("hello")


def an_empty_file(path: Path) -> None:
    path.touch()


def code(path: Path) -> None:
    torch.save({"conv1.weight": print}, path)


def a_tensor(path: Path) -> None:
    torch.save(torch.ones(2), path)


def another_model(path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, path)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (no_torch_file, "must be a file of tensors alone that torch.save wrote, got "),
        (an_empty_file, "must be a file of tensors alone that torch.save wrote, got "),
        (code, "must be a file of tensors alone that torch.save wrote, got "),
        (a_tensor, "must be of the model that is asked for: Expected state_dict to be dict-like"),
        (another_model, "must be of the model that is asked for: .* Missing key"),
    ],
)
def test_a_bad_state_dict_is_told_in_a_line(
    write: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With code 2; a file that is not there has code 1."""
    state = tmp_path / "state.pt"
    arguments = ["export", str(tmp_path / "x.onnx"), "--size", "64", "--state-dict", str(state)]
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
    write(state)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert re.search(f"error: state-dict {told}", said)
    assert said.count("\n") == 1
    assert not (tmp_path / "x.onnx").exists()


def test_other_dtypes_are_refused(trunk: Any, tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(ValueError, match=r"model must be of float32, got torch.float64"):
        export(copy.deepcopy(trunk).double(), tmp_path / "x.onnx")
