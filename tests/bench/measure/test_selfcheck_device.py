"""The self-check's part for CUDA devices, on stand-ins: what is wrong is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import environment
from bench.measure import queued, selfcheck
from bench.measure.checks import Lines, WrongError
from bench.measure.queued import at_once, captured, stream
from bench.measure.selfcheck import REPORT, kernels, loading, main, networks, sanitizer
from se_models.fused.cuda import compiler, library
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("more", "told_first"), [((), "versions: torch\n"), (("--kernels-only",), "")]
)
def test_kernels_that_do_not_load_are_a_failure(
    more: tuple[str, ...],
    told_first: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Of a device that is there: the exit code is 1, the reason is told, nothing is run instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(selfcheck, "named", lambda _device: iter(["NVIDIA H100, sm_90"]))
    monkeypatch.setattr(selfcheck, "versions", lambda _device: iter(["torch"]))
    monkeypatch.setattr(selfcheck, "missing", lambda _type: "kernels.cu for sm_90: error: no")
    monkeypatch.setattr(selfcheck, "kernels", None)
    assert main(["--device", "cuda", "--out", str(tmp_path), *more]) == 1
    told = "FAILED: there are no kernels for cuda: kernels.cu for sm_90: error: no\n"
    assert capsys.readouterr().err == told
    report = (tmp_path / REPORT).read_text()
    assert report == f"device: NVIDIA H100, sm_90\n{told_first}{told}"


def test_loading_comes_after_versions_and_before_the_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that a report of kernels that do not load says of which machine it is."""
    for name in ("kernels", "networks"):
        monkeypatch.setattr(selfcheck, name, lambda _device: iter(["done"]))
    assert main(["--device", "cpu", "--out", str(tmp_path)]) == 0
    lines = (tmp_path / REPORT).read_text().splitlines()
    names = list(dict.fromkeys(line.partition(":")[0] for line in lines))
    assert names == ["device", "versions", "loading", "kernels", "networks"]


def test_kernels_that_were_not_launched_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though every result is right: torch may have called plain PyTorch in their place."""
    all_ = {(dtype, kernel) for dtype in compiler.SCALARS for kernel in compiler.kernels(dtype)}
    launched: set[tuple[torch.dtype, str]] = set()
    monkeypatch.setattr(selfcheck, "agreements", lambda _device: iter([]))
    monkeypatch.setattr(library.load, "launched", lambda _device: launched)
    cuda = torch.device("cuda")
    with pytest.raises(WrongError, match=f"{len(all_)} kernels were never launched, excite<1> of"):
        list(kernels(cuda))
    launched |= all_ - {(torch.float16, "tail_run")}
    told = r"1 kernels were never launched, tail_run of torch\.float16"
    with pytest.raises(WrongError, match=told):
        list(kernels(cuda))
    launched |= all_
    assert list(kernels(cuda)) == ["every kernel was launched, in every dtype"]


def test_a_report_begins_with_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU by its name and architecture; the CPU, so that its report is not taken for a GPU's."""
    assert list(selfcheck.named(CPU)) == ["cpu"]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    name, state = selfcheck.named(torch.device("cuda"))
    assert name == "NVIDIA H100, sm_90"
    assert state.startswith("its L2 cache is warm in all times")


def test_a_report_tells_what_was_checked_and_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source, so that no record is needed to tell it; of a GPU all that compiles and runs."""
    source = environment.Source("0123456789abcdef", "deadbeef", None)
    monkeypatch.setattr(selfcheck, "describe_source", lambda: source)
    lines = ["source 0123456789abcdef, commit deadbeef"]
    lines.append(f"torch {torch.__version__}, CUDA {torch.version.cuda}")
    assert list(selfcheck.versions(CPU)) == lines
    monkeypatch.setattr(environment, "_nvidia_gpus", lambda: (("NVIDIA H100",), "580.95.05"))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)
    monkeypatch.setattr(compiler, "versions", lambda: ("NVRTC 13.0", "nvidia-cuda-nvrtc 13.0.88"))
    lines += ["driver 580.95.05, cuDNN 92400", "NVRTC 13.0, nvidia-cuda-nvrtc 13.0.88"]
    assert list(selfcheck.versions(torch.device("cuda"))) == lines


@pytest.mark.parametrize(
    ("commit", "diff", "told"),
    [("deadbeef", "0123", "deadbeef, changed since"), (None, None, "unknown")],
)
def test_a_source_that_no_commit_has_is_told(
    commit: str | None, diff: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a checkout that was changed, and of what is no checkout."""
    source = environment.Source("0123456789abcdef", commit, diff)
    monkeypatch.setattr(selfcheck, "describe_source", lambda: source)
    assert next(selfcheck.versions(CPU)) == f"source 0123456789abcdef, commit {told}"


def test_a_machine_without_bindings_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, as any other."""

    def unbound(_device: torch.device) -> Any:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(selfcheck, "versions", unbound)
    assert main(["--device", "cpu"]) == 1
    assert capsys.readouterr().err == "FAILED: No module named 'cuda'\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [(KeyError("stage"), "'stage'"), (AssertionError(), "AssertionError()")],
)
def test_whatever_a_check_raises_is_a_failure(
    error: Exception,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """In one line behind what was checked before, of whatever kind the error is."""

    def fails(_device: torch.device) -> Any:
        yield "one is right"
        raise error

    monkeypatch.setattr(selfcheck, "versions", fails)
    assert main(["--device", "cpu", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"FAILED: {told}\n"
    report = (tmp_path / REPORT).read_text()
    assert report == f"device: cpu\nversions: one is right\nFAILED: {told}\n"


def test_a_report_that_is_not_whole_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As that of a process that was ended at its time limit: the check is named."""

    def ended(_device: torch.device) -> Any:
        yield "one is right"
        raise KeyboardInterrupt

    monkeypatch.setattr(selfcheck, "versions", ended)
    with pytest.raises(KeyboardInterrupt):
        main(["--device", "cpu", "--out", str(tmp_path)])
    report = (tmp_path / REPORT).read_text()
    assert report == "device: cpu\nversions: one is right\nversions: NOT FINISHED\n"


def test_a_folder_that_cannot_be_made_is_told_before_any_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, and the exit code is 2, as of wrong usage."""
    monkeypatch.setattr(selfcheck, "named", None)
    (tmp_path / "file").touch()
    assert main(["--device", "cpu", "--out", str(tmp_path / "file" / "folder")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the report cannot be written: [Errno")


def test_a_report_that_can_no_longer_be_written_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As on a full disk; in one line, and what was written says that it is not finished."""

    def fills(_device: torch.device) -> Any:
        monkeypatch.setattr(Path, "write_text", full)
        yield "cpu"

    def full(*_given: object, **_named: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(selfcheck, "named", fills)
    assert main(["--device", "cpu", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "FAILED: [Errno 28] No space left on device\n"
    assert (tmp_path / REPORT).read_text() == "device: NOT FINISHED\n"


@pytest.mark.gpu
@pytest.mark.parametrize("check", [loading, kernels, networks, stream, captured, at_once])
def test_a_check_passes_on_a_device(check: Callable[[torch.device], Lines]) -> None:
    """Each by itself, so that what fails first hides no other."""
    assert list(check(torch.device("cuda")))


@pytest.mark.parametrize("check", [stream, captured, at_once])
def test_the_very_same_output_is_asked_of_convolutions_that_give_it(
    check: Callable[[torch.device], Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Algorithms may otherwise add up in any order, or change; afterwards all is as before."""
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    seen = []

    def network(_device: torch.device) -> Any:
        seen.append((cudnn.deterministic, cudnn.benchmark))
        raise WrongError("seen enough")

    monkeypatch.setattr(queued, "fused_network", network)
    with pytest.raises(WrongError, match="seen enough"):
        list(check(CPU))
    assert seen == [(True, False)]
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_without_compute_sanitizer_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And does not claim to have run it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(selfcheck, "_toolkits", lambda: [str(tmp_path), "there"])
    (line,) = sanitizer(CPU)
    places = f"on PATH or in {tmp_path} or there"
    assert line == f"compute-sanitizer was not found {places}: not run"


def test_compute_sanitizer_is_found_in_a_toolkit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That is not on PATH, as CUDA's installer leaves it."""
    (tmp_path / "bin").mkdir()
    _tool(tmp_path / "bin", "exit 0", monkeypatch)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert next(sanitizer(CPU)) == "memcheck finds nothing"


def test_compute_sanitizer_watches_the_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For memory, races and barriers, nothing but the kernels, and each tensor for itself."""
    asked = tmp_path / "asked"
    _tool(tmp_path, f'echo "$PYTORCH_NO_CUDA_MEMORY_CACHING $@" >> {asked}', monkeypatch)
    checks = ("memcheck", "racecheck", "synccheck")
    assert list(sanitizer(CPU)) == [f"{check} finds nothing" for check in checks]
    lines = asked.read_text().splitlines()
    for line, check in zip(lines, checks, strict=True):
        assert line.startswith(f"1 --tool {check} --error-exitcode 9 ")
        assert line.endswith("-m bench.measure.selfcheck --kernels-only")


def test_what_compute_sanitizer_finds_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the check that has found it, with its own words."""
    _tool(tmp_path, 'if [ "$2" = racecheck ]; then echo hazard in excite; exit 9; fi', monkeypatch)
    found = sanitizer(CPU)
    assert next(found) == "memcheck finds nothing"
    with pytest.raises(WrongError, match="compute-sanitizer's racecheck: hazard in excite"):
        next(found)


def test_a_check_that_fails_under_compute_sanitizer_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the reason that it gives on stderr, behind what the tool prints."""
    _tool(tmp_path, "echo no errors; echo FAILED: scale is off >&2; exit 1", monkeypatch)
    with pytest.raises(WrongError, match="memcheck: no errors\nFAILED: scale is off"):
        list(sanitizer(CPU))


def test_a_sanitizer_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At its time limit, which is told and no failure; the checks behind it are run."""
    _tool(tmp_path, 'if [ "$2" = memcheck ]; then sleep 60; fi', monkeypatch)
    monkeypatch.setattr(selfcheck, "SANITIZER_MINUTES", 0.02)
    assert list(sanitizer(CPU)) == [
        "memcheck: NOT FINISHED in 0.02 minutes, says nothing",
        "racecheck finds nothing",
        "synccheck finds nothing",
    ]


def _tool(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compute-sanitizer that runs nothing."""
    tool = folder / "compute-sanitizer"
    tool.write_text(f"#!/bin/sh\n{does}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
