"""The command ``selfcheck``: what it starts, and what it makes of how that ends."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from bench import commands, environment, limited, texts
from bench.cli import main
from bench.grid import plan_blocks
from bench.measure.selfcheck import REPORT
from bench.options import seconds
from bench.run.schedule import default_budget_s
from tests.bench.test_cli import grid_of


def stand_in_for_checks(monkeypatch: pytest.MonkeyPatch, gpu: str = "") -> list[list[str]]:
    """What would have been run with a time limit; each prints the name of a GPU."""
    called: list[list[str]] = []

    def passed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        return subprocess.CompletedProcess(command, 0, f"{gpu}\n", "")

    monkeypatch.setattr(limited, "run", passed)
    return called


def test_the_self_checks_folder_has_the_name_of_torchs_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of that which is checked, whichever comes first in the machine."""
    monkeypatch.setattr(environment, "_nvidia_gpus", lambda: (("Quadro T400",), "1.0"))
    called = stand_in_for_checks(monkeypatch, gpu="NVIDIA A100-SXM4-80GB")
    assert main(["selfcheck", "--checks-only"]) == 0
    _asked, checks = called
    assert checks[-2:] == ["--out", str(Path("results/nvidia-a100-sxm4-80gb"))]


def test_a_budget_of_what_is_not_measured_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is checked."""
    called = stand_in_for_checks(monkeypatch)
    assert main(["selfcheck", "--checks-only", "--budget", "1m"]) == 2
    assert "budget is for measuring, and must not come with --checks-only" in (
        capsys.readouterr().err
    )
    assert called == []


def test_checks_of_the_cpu_stay_out_of_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """results/cpu holds a run that is committed; the default folder is one that git ignores."""
    called = stand_in_for_checks(monkeypatch)
    assert main(["selfcheck", "--device", "cpu", "--checks-only"]) == 0
    (checks,) = called
    folder = checks[checks.index("--out") + 1]
    assert folder == str(Path("results/selfcheck-cpu"))
    ignored = Path(__file__).parents[2] / ".gitignore"
    assert f"{Path(folder).as_posix()}/" in ignored.read_text().splitlines()


def test_checks_that_do_not_finish_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and nothing is measured."""
    monkeypatch.setattr(commands, "_CHECKS_MINUTES", 0.001)
    monkeypatch.setattr(subprocess, "call", None)
    assert main(["selfcheck", "--device", "cpu", "--out", str(tmp_path)]) == 1
    told = "selfcheck: the process of checks did not finish in 0.001 minutes\n"
    assert capsys.readouterr().err.endswith(told)


def test_a_crash_of_the_checks_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its signal, and the report that names the check; the exit code is that of a failure."""
    crashed: subprocess.CompletedProcess[str]
    crashed = subprocess.CompletedProcess([""], -signal.SIGSEGV)
    monkeypatch.setattr(limited, "run", lambda *_given, **_named: crashed)
    monkeypatch.setattr(subprocess, "call", None)
    assert main(["selfcheck", "--device", "cpu", "--out", str(tmp_path)]) == 1
    told = f"the process of checks was ended by SIGSEGV; {tmp_path / REPORT} names the check\n"
    assert capsys.readouterr().err.endswith(f" selfcheck: {told}")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["selfcheck", "--device", "cpu"], "measures"), (["predict"], "predicts")],
)
@pytest.mark.parametrize(("code", "by"), [(-9, "SIGKILL"), (-63, "signal 63")])
def test_a_process_that_is_killed_is_told(
    arguments: list[str],
    name: str,
    code: int,
    by: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As that of measuring and of predicting, where memory ran out."""
    stand_in_for_checks(monkeypatch)
    monkeypatch.setattr(subprocess, "call", lambda _command: code)
    assert main(arguments) == 1
    assert capsys.readouterr().err.endswith(f"the process that {name} was ended by {by}\n")


def measured_by_selfcheck(monkeypatch: pytest.MonkeyPatch, *flags: str) -> list[str]:
    """The command that measures, once all checks have passed."""
    called: list[list[str]] = []

    def passed(command: list[str]) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", passed)
    checked = stand_in_for_checks(monkeypatch)
    assert main(["selfcheck", "--out", "there", *flags]) == 0
    (checks,), (measured,) = checked, called
    assert "bench.measure.selfcheck" in checks
    assert measured[1:4] == ["-m", "bench", "run"]
    return measured[4:]


def test_the_self_check_measures_graphs_and_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a run whose flags are understood, in both layouts, into the folder that was asked for."""
    *flags, out, folder = measured_by_selfcheck(monkeypatch)
    assert (out, folder) == ("--out", "there")
    grid = grid_of(*flags)
    assert grid.devices == ("cuda",)
    assert grid.batches == (1, 256)
    assert set(grid.layouts) == {"contiguous", "channels_last"}
    labels = {path.label for path in grid.paths}
    assert labels == {"eager", "fused", "cuda_graph", "fused+cuda_graph"}


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_the_self_check_ends_within_the_time_that_is_told(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a GPU as the schedule has it, in help and on the page; nothing takes an hour."""
    flags = measured_by_selfcheck(monkeypatch, "--device", device)[:-2]
    minutes = default_budget_s(plan_blocks(grid_of(*flags).trials())) / 60
    assert minutes < 60
    if device == "cuda":
        page = Path(__file__).parents[2] / "docs" / "gpu.md"
        for text in (texts.SELFCHECK, page.read_text(encoding="utf-8")):
            assert f"latency takes about {minutes:.0f} minutes" in " ".join(text.split())
            assert f"ended after {commands._CHECKS_MINUTES}" in " ".join(text.split())


def test_the_self_checks_measuring_takes_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as a run's, which gets it in seconds."""
    assert measured_by_selfcheck(monkeypatch, "--budget", "10m")[-2:] == ["--budget", "600.0s"]
    assert seconds("600.0s") == 600
