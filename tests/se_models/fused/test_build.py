"""Kernels are built once, kept by what they depend on, and missed with one clear notice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import torch

from se_models.fused.cpu import build
from tests.se_models.fused.threads import at_once


def test_the_library_depends_on_all_it_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources, torch and the vectors of the CPU; the same find it again."""
    names = {build.library_path(), build.library_path()}
    monkeypatch.setattr(torch, "__version__", "0.0")
    names.add(build.library_path())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "none known")
    names.add(build.library_path())
    source = tmp_path / "kernels.cpp"
    source.write_text("// another")
    monkeypatch.setattr(build, "SOURCE", source)
    names.add(build.library_path())
    (tmp_path / "map.h").write_text("// what it includes")
    names.add(build.library_path())
    assert len(names) == 5


@pytest.mark.parametrize(
    ("capability", "flag"),
    [
        ("AVX2", "-DCPU_CAPABILITY_AVX2"),
        ("AVX512", "-mavx512vl"),
        ("DEFAULT", "-DCPU_CAPABILITY=DEFAULT"),
        ("SVE256", "-DCPU_CAPABILITY=DEFAULT"),
    ],
)
def test_flags_follow_the_cpu(capability: str, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CPU gets instructions that torch does not use on it."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    flags = build.flags()
    assert flag in flags
    if not capability.startswith("AVX"):
        assert not any(each.startswith("-m") for each in flags)


def fresh_process(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )


_FUSED = """
import torch, warnings
from torchvision.models import resnet18
from se_models.fused import fuse
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    fused = fuse(resnet18().eval())
    fuse(resnet18().eval())
with torch.no_grad():
    print(tuple(fused(torch.ones(1, 3, 64, 64)).shape))
print([str(each.message) for each in told if each.category is RuntimeWarning])
"""


def test_without_a_compiler_the_reference_runs(tmp_path: Path) -> None:
    """With one notice that says why, however many models are fused; no build is announced."""
    done = fresh_process(_FUSED, XDG_CACHE_HOME=str(tmp_path), CXX="no-such-compiler")
    shape, told = done.stdout.splitlines()
    assert shape == "(1, 1000)"
    assert told.count("no kernels for fused blocks on this cpu") == 1
    assert "there is no C++ compiler 'no-such-compiler'" in told
    assert "se_models" not in done.stderr
    assert not list(tmp_path.iterdir())


_LOADED = """
import torch, sys
started = []
def hear(event, arguments):
    if event.startswith(("subprocess.", "os.posix_spawn", "os.fork", "os.system", "os.exec")):
        started.append(event)
sys.addaudithook(hear)
from se_models.fused.cpu import build
print(build.load(), started, "torch.utils.cpp_extension" in sys.modules)
"""


@pytest.mark.usefixtures("cpu_kernels")
def test_a_later_process_finds_them() -> None:
    """It starts no other, loads no tools for building, and says nothing."""
    done = fresh_process(_LOADED)
    assert done.stdout == "None [] False\n"
    assert "se_models" not in done.stderr


@pytest.mark.slow
def test_kernels_are_built_on_first_use(tmp_path: Path) -> None:
    """With a line before and after; the next process finds them, and says nothing."""
    first = fresh_process(_FUSED, XDG_CACHE_HOME=str(tmp_path))
    assert "building its CPU kernels" in first.stderr
    assert "built in" in first.stderr
    assert first.stdout.splitlines()[1] == "[]"
    kept = list(tmp_path.rglob("*.so"))
    assert len(kept) == 1
    assert not [path for path in kept[0].parent.iterdir() if path.is_dir()]
    second = fresh_process(_FUSED, XDG_CACHE_HOME=str(tmp_path))
    assert "built" not in second.stderr
    assert second.stdout == first.stdout


def test_an_error_of_the_compiler_is_told(tmp_path: Path) -> None:
    """And leaves nothing behind that a later use would take for a library.

    The PATH holds nothing of this Python's environment, whose own ninja is found all the same.
    """
    source = tmp_path / "kernels.cpp"
    source.write_text("this is no C++")
    code = (
        "from pathlib import Path; from se_models.fused.cpu import build;"
        f"build.SOURCE = Path({str(source)!r});"
        f"build.compile_into(Path({str(tmp_path / 'made.so')!r}))"
    )
    with pytest.raises(subprocess.CalledProcessError) as failed:
        fresh_process(code, PATH=os.defpath)
    assert "Error building extension" in failed.value.stderr
    reason = build._reason(failed.value.stderr)
    assert "kernels.cpp:1:1: error: " in reason
    assert build._WRONG_SOURCE.search(reason)
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.cpp"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ""),
        ("RuntimeError: there is no compiler", "RuntimeError: there is no compiler"),
        ("a.cpp:1: error: x\na.cpp:2: error: y\nninja: build stopped", "a.cpp:1: error: x"),
    ],
)
def test_the_reason_is_the_first_error(said: str, told: str) -> None:
    """And the last words where nothing is called one."""
    assert build._reason(said) == told


def test_a_library_that_does_not_load_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the linker's own words, and with what keeps it from being built again."""
    library = tmp_path / "kernels.so"
    library.write_text("no library")
    monkeypatch.setattr(build, "library_path", lambda: library)
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = build._load.__wrapped__()
    assert reason is not None
    assert f"{library} cannot be loaded" in reason
    assert "nor built again: there is no C++ compiler 'no-such-compiler'" in reason
    assert "Could not load" not in reason


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the reason why there are no kernels."""
    (tmp_path / "cache").touch()
    monkeypatch.setattr(build, "library_path", lambda: tmp_path / "cache" / "kernels.so")
    reason = build._load.__wrapped__()
    assert reason is not None
    assert str(tmp_path / "cache") in reason


@pytest.mark.parametrize("reason", [None, "no compiler"])
def test_threads_that_come_at_once_build_once(
    reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each is told how that went."""
    built: list[Path] = []

    def slow(library: Path) -> None:
        built.append(library)
        time.sleep(0.05)  # the other threads come meanwhile
        if reason is not None:
            raise RuntimeError(reason)

    monkeypatch.setattr(build, "library_path", lambda: tmp_path / "cpu_x.so")
    monkeypatch.setattr(build, "_build", slow)
    monkeypatch.setattr(build, "_load", cache(build._load.__wrapped__))
    monkeypatch.setattr(torch.ops, "load_library", lambda _library: None)
    assert at_once(lambda _thread: build.load(), range(4)) == [reason] * 4
    assert len(built) == 1
