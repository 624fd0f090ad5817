"""The self-check finds kernels that are wrong, and says what they are off by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cli import main as bench
from bench.measure import agreement, selfcheck
from bench.measure.agreement import agreements
from bench.measure.selfcheck import REPORT, main
from se_models.fused import fuse, operators
from tests.timing_out import hanging

pytestmark = hanging(300)

SHAPES = ((1, 1, 1, 1), (3, 8, 5, 5))
OPERATORS = ("squeeze", "tail_", "tail_squeeze_", "scale", "excite")


@pytest.fixture(autouse=True)
def _few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SHAPES", SHAPES)


def test_every_operator_agrees_on_the_cpu() -> None:
    """In every dtype and layout, and the error is what rounding makes."""
    found = list(agreements(torch.device("cpu")))
    assert len(found) == len(OPERATORS) * 3 * 2 * len(SHAPES)
    assert {each.operator for each in found} == set(OPERATORS)
    assert all(each.is_right for each in found)
    assert any(each.error > 0 for each in found)


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
@pytest.mark.parametrize("operator", ["squeeze", "scale", "excite"])
def test_a_wrong_kernel_is_found(
    operator: str,
    wrong: float,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By its name, dtype and layout, in the report too; NaN is wrong like any other value."""
    right = getattr(operators, operator)
    monkeypatch.setattr(operators, operator, lambda *given: right(*given) * wrong)
    assert main(["--device", "cpu", "--kernels-only", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert f"FAILED: {operator} of " in told
    assert told.strip() in (tmp_path / REPORT).read_text()


def test_a_tail_that_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though it works in place."""
    right = operators.tail_

    def doubled(x: torch.Tensor, *others: torch.Tensor | None) -> None:
        right(x, *others)
        x.mul_(2)

    monkeypatch.setattr(operators, "tail_", doubled)
    assert main(["--device", "cpu", "--kernels-only"]) == 1
    assert "FAILED: tail_ of " in capsys.readouterr().err


def test_a_kernel_that_raises_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As one that is wrong, and with what it said."""

    def refuse(*_given: object) -> None:
        raise RuntimeError("squeeze_planes<true>: CUDA_ERROR_INVALID_VALUE")

    monkeypatch.setattr(operators, "squeeze", refuse)
    assert main(["--device", "cpu", "--kernels-only", "--out", str(tmp_path)]) == 1
    assert "FAILED: squeeze_planes<true>: CUDA_ERROR" in capsys.readouterr().err
    assert "FAILED: squeeze_planes<true>" in (tmp_path / REPORT).read_text()


def test_all_checks_of_the_cpu_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fused networks of every placement included; the report holds what was shown."""
    assert main(["--device", "cpu", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown == (tmp_path / REPORT).read_text()
    assert "networks: prenorm: fused as in eager, both layouts" in shown


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, and the exit code is 2."""
    assert main(["--device", "cuda"]) == 2
    assert capsys.readouterr().err == "nothing to check: torch sees no CUDA device\n"


def test_a_network_that_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its placement."""

    def off(model: Any) -> Any:
        fused = fuse(model)
        return lambda x: fused(x) * 1.001

    monkeypatch.setattr(selfcheck, "fuse", off)
    assert main(["--device", "cpu"]) == 1
    assert "FAILED: fused none, contiguous is off by " in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_command_measures_nothing_unless_all_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a device it ends with 2, and leaves nothing."""
    monkeypatch.chdir(tmp_path)
    assert bench(["selfcheck"]) == 2
    assert list(tmp_path.iterdir()) == []
