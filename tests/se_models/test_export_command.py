"""The command that exports tells what it wrote, or in a line why nothing was."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import se_models
import se_models.export as exporting
from se_models import SEConfig
from se_models.__main__ import main


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


def test_what_is_neither_file_nor_folder_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe or a device would be replaced by a file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert main(["export", str(path), "--size", "64"]) == 2
    assert "file must be the path of a file, got " in capsys.readouterr().err
    assert path.is_fifo()


def test_what_is_no_folder_holds_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However deep below; told before a model is made."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "new" / "x.onnx"
    assert main(["export", str(path), "--size", "64"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"file must be in a folder that can be written to, got {path}, and" in said.err


def test_weights_come_from_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    """Or one of two would be loaded for nothing."""
    with pytest.raises(SystemExit, match="2"):
        main(["export", "x.onnx", "--weights", "DEFAULT", "--state-dict", "state.pt"])
    assert "--state-dict: not allowed with argument --weights" in capsys.readouterr().err


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
