"""What is kept of builds: what they took, why they failed, and libraries while they are used."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from se_models.fused.cpu import build


@dataclass
class Build:
    """Of a library in a folder of its own; ``said`` is what its process says, if it fails."""

    library: Path
    said: str | None = None
    runs: int = 0

    def run(self, *_given: object, **_options: object) -> SimpleNamespace:
        self.runs += 1
        return SimpleNamespace(returncode=int(self.said is not None), stderr=self.said)

    def reason(self) -> str | None:
        """Why there are no kernels, by a new process."""
        reason: str | None = build._load.__wrapped__()
        return reason


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """A build that compiles nothing; whatever it builds, torch loads."""
    fake = Build(tmp_path / "cache" / "cpu_x.so")
    monkeypatch.setattr(build, "library_path", lambda: fake.library)
    monkeypatch.setattr(subprocess, "run", fake.run)
    monkeypatch.setattr(torch.ops, "load_library", lambda _library: None)
    return fake


JUNK = "no library"


def leaves(fake: Build, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every build leaves a file that holds ``text``; torch loads what is not `JUNK`."""

    def run(*given: object, **options: object) -> SimpleNamespace:
        fake.library.write_text(text)
        return fake.run(*given, **options)

    def load_library(library: Path) -> None:
        if library.read_text() == JUNK:
            raise OSError("Could not load this library") from OSError("file too short")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(torch.ops, "load_library", load_library)


def test_a_broken_library_is_built_again(fake: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: later processes find a good one."""
    leaves(fake, "a library", monkeypatch)
    fake.library.parent.mkdir()
    fake.library.write_text(JUNK)
    assert [fake.reason() for _ in range(2)] == [None, None]
    assert fake.runs == 1
    assert fake.library.read_text() == "a library"


def test_what_another_process_has_built_again_is_kept(
    fake: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this one waited for the lock, as all do that found the broken one."""
    leaves(fake, "a library", monkeypatch)
    fake.library.parent.mkdir()
    fake.library.write_text(JUNK)

    class OthersLock(FileLock):
        def __enter__(self) -> OthersLock:
            fake.library.write_text("another's")
            return super().__enter__()

    monkeypatch.setattr(build, "FileLock", OthersLock)
    assert fake.reason() is None
    assert (fake.runs, fake.library.read_text()) == (0, "another's")


def test_what_is_built_and_does_not_load_is_told(
    fake: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file and the remedy; no later process builds it once more."""
    leaves(fake, JUNK, monkeypatch)
    reasons = [str(fake.reason()) for _ in range(3)]
    assert fake.runs == 1
    (note,) = fake.library.parent.glob("*.failed")
    for reason in reasons:
        assert f"{fake.library} was built and cannot be loaded: file too short" in reason
        assert f"not tried again with this compiler until {note} is removed" in reason
    note.unlink()
    leaves(fake, "a library", monkeypatch)
    assert fake.reason() is None


def a_compiler(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))


def test_how_long_building_took_is_kept(fake: Build) -> None:
    """Beside the library; what nobody has noted is nothing."""
    assert build.took_s() == 0.0
    assert fake.reason() is None
    assert 0 < build.took_s() < 60


WRONG = "FAILED: x.o\nkernels.cpp:3:10: error: 'gone' is not a member of 'at'\nninja: stopped"


def test_without_a_compiler_nothing_is_started(
    fake: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor announced, nor left in the cache."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no C++ compiler 'no-such-compiler'" in str(fake.reason())
    assert (fake.runs, capsys.readouterr().err) == (0, "")
    assert not fake.library.parent.exists()


def test_a_compiler_beside_this_python_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a conda environment that is not activated."""
    a_compiler(tmp_path / "its-own-compiler", monkeypatch)
    monkeypatch.setenv("CXX", "its-own-compiler")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert build._compiler() == str(tmp_path / "its-own-compiler")


def test_sources_that_do_not_compile_are_tried_once(
    fake: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later processes are told why at once, and where to say that it is to be tried again."""
    fake.said = WRONG
    reasons = {fake.reason() for _ in range(3)}
    assert fake.runs == 1
    assert capsys.readouterr().err.count("building its CPU kernels") == 1
    (note,) = fake.library.parent.glob("*.failed")
    (reason,) = reasons
    assert str(reason).startswith("kernels.cpp:3:10: error: 'gone' is not a member of 'at' (")
    assert f"until {note} is removed" in str(reason)
    note.unlink()
    fake.said = None
    assert fake.reason() is None
    assert fake.runs == 2


def test_another_compiler_or_source_tries_again(
    fake: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does the same one when it was installed anew."""
    fake.said = WRONG
    a_compiler(tmp_path / "one", monkeypatch)
    fake.reason()
    a_compiler(tmp_path / "other", monkeypatch)
    fake.reason()
    assert fake.runs == 2
    os.utime(tmp_path / "other", ns=(0, 0))
    fake.reason()
    assert fake.runs == 3
    fake.library = fake.library.with_name("cpu_y.so")
    fake.reason()
    assert fake.runs == 4


@pytest.mark.parametrize(
    "said",
    ["c++: fatal error: Killed signal terminated program cc1plus", "Ninja is required",
     "kernels.cpp:43:1: fatal error: error writing to /tmp/x.s: No space left on device",
     "kernels.cpp:3:10: fatal error: omp.h: No such file or directory", ""],
    ids=["killed", "no ninja", "disk full", "no header", "silent"],
)  # fmt: skip
def test_what_may_go_better_is_tried_by_every_process(said: str, fake: Build) -> None:
    """Where no source is to blame."""
    fake.said = said
    assert fake.reason() == fake.reason() == (said or "the build ended with 1")
    assert fake.runs == 2


def test_a_build_removes_what_nobody_uses(fake: Build) -> None:
    """Of older sources, what was noted of them included; nothing of anybody else's."""
    folder = fake.library.parent
    folder.mkdir()
    for name in ("cpu_old.so", "cpu_old.seconds", "cpu_old.a.failed", "cpu_old.lock",
                 "cpu_used.so", "cpu_used.seconds", "cuda_old.zip"):  # fmt: skip
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    fake.library.touch()
    fake.library, new = folder / "cpu_used.so", fake.library
    assert fake.reason() is None  # is there already, and from now on in use
    fake.library = new
    fake.library.unlink()
    assert fake.reason() is None
    assert fake.runs == 1
    assert {path.name for path in folder.iterdir()} == {
        "cpu_old.lock", "cpu_used.so", "cpu_used.seconds", "cuda_old.zip", "cpu_x.seconds",
        "cpu_x.lock",
    }  # fmt: skip
