"""The self-check finds kernels that are wrong, and says what they are off by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cli import main as bench
from bench.measure import agreement, selfcheck
from bench.measure.agreement import EXCITATIONS, agreements
from bench.measure.selfcheck import REPORT, main
from se_models.fused import fuse, operators
from se_models.fused.cuda.dispatch import UNITS
from se_models.fused.kernels import missing
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]

SHAPES = ((1, 1, 1, 1), (3, 8, 5, 5))
RESULTS = ("squeeze", "tail_", "tail_squeeze_", "tail_squeeze_ means", "scale", "excite")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SHAPES", SHAPES)


@pytest.mark.slow
def test_every_operator_agrees_on_the_cpu() -> None:
    """In every dtype and layout, and the error is what rounding makes."""
    assert missing(CPU) is None
    found = list(agreements(CPU))
    of_layers = 3 * len(EXCITATIONS) * 2 * 2**3
    assert len(found) == len(RESULTS) * 3 * 2 * len(SHAPES) + of_layers
    assert {each.operator for each in found} == set(RESULTS)
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


@pytest.mark.parametrize(
    ("is_wrong", "told"),
    [
        (lambda _weight1, _bias1, weight2: not weight2.is_contiguous(), "weight2 unit by unit"),
        (lambda _weight1, bias1, _weight2: bias1 is None, "without biases"),
        (lambda weight1, _bias1, _weight2: len(weight1) > UNITS, "33 units"),
    ],
)
def test_an_excitation_that_is_wrong_only_there_is_found(
    is_wrong: Any, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of weights as twins have them, of layers without biases, of more units than a block takes."""
    right = operators.excite

    def excite(squeezed: torch.Tensor, *given: torch.Tensor | None) -> Any:
        return right(squeezed, *given) * (1.01 if is_wrong(*given[:3]) else 1)

    monkeypatch.setattr(operators, "excite", excite)
    assert main(["--device", "cpu", "--kernels-only"]) == 1
    error = capsys.readouterr().err
    assert "FAILED: excite of " in error
    assert told in error


def test_means_of_half_precision_are_held_to_what_float32_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though the map beside them may be farther off."""
    right = operators.tail_squeeze_

    def rounded(x: torch.Tensor, *others: torch.Tensor | None) -> Any:
        return right(x, *others).to(x.dtype).float()

    monkeypatch.setattr(operators, "tail_squeeze_", rounded)
    assert main(["--device", "cpu", "--kernels-only"]) == 1
    assert "FAILED: tail_squeeze_ means of bfloat16" in capsys.readouterr().err


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
