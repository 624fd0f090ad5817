"""The gate where it cannot compare, or cannot tell: no verdict, the code for that, and why."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from bench.gate import command
from bench.gate.ci import SUMMARY
from tests.bench.gate.repositories import TOY, commit, git, write
from tests.bench.gate.toy import QUICK, SLOW, gate, nothing_is_left


@pytest.mark.parametrize(
    ("base", "head", "line"),
    [
        ("raise ImportError('no such thing')", None, "base cannot import toy_models: .*no such"),
        (None, "import nonesuch_package", "head cannot import toy_models: .*nonesuch_package"),
        (None, TOY.format(ms=2) + "DIES = True", "a process of head died: .* ended with code 3"),
        (None, TOY.format(ms=2) + "print('loading')", "the worker said 'loading', which is no"),
    ],
    ids=["base does not import", "head does not import", "a process dies", "head prints"],
)
def test_what_cannot_run_is_refused(
    base: str | None,
    head: str | None,
    line: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the code for that, which is not that of a regression; all reports say why."""
    monkeypatch.setenv(SUMMARY, str(project / "summary.md"))
    if base is not None:
        write(project, base)
        commit(project)
        git(project, "branch", "-f", "main")
    write(project, head or TOY.format(ms=2))
    assert gate(*QUICK) == 2
    captured = capsys.readouterr()
    (told,) = [each for each in captured.err.splitlines() if "could not" in each]
    assert re.search(line, told)
    found = json.loads((project / "out" / "gate.json").read_text())
    assert found["verdict"] == "could not compare"
    assert told == f"the gate could not compare: {found['reason']}"
    assert captured.out.startswith("## Timing gate: could not compare\n")
    assert found["reason"] in captured.out
    assert (project / "summary.md").read_text() == f"{captured.out}\n"
    assert nothing_is_left(project)


def test_an_earlier_verdict_does_not_stay(project: Path) -> None:
    """Neither where nothing can be compared nor where nothing is measured."""
    commit(project)
    out = project / "out"
    assert gate(*QUICK, "--even-if-equal") == 0
    assert {path.name for path in out.iterdir()} == {"gate.json", "gate.png", "gate.svg"}
    assert gate(*QUICK, base="nonesuch") == 2
    assert [path.name for path in out.iterdir()] == ["gate.json"]
    found = json.loads((out / "gate.json").read_text())
    assert found["verdict"] == "could not compare"
    assert "got 'nonesuch'" in found["reason"]
    assert gate(*QUICK) == 0
    assert list(out.iterdir()) == []


def test_a_mistake_of_its_own_fails_no_build(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is: a line, and not the code of a regression."""

    def slip(*_: object) -> None:
        raise KeyError("a slip")

    monkeypatch.setattr(command, "Gate", slip)
    assert gate(*QUICK, "--even-if-equal") == 2
    assert "by its own fault: KeyError: 'a slip'\n" in capsys.readouterr().err
    assert nothing_is_left(project)


def test_what_is_not_installed_fails_no_build(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what head's requirements have come to ask for."""
    monkeypatch.setitem(sys.modules, "bench.cpus", None)
    assert gate(*QUICK) == 2
    assert "gate: import of bench.cpus halted" in capsys.readouterr().err


def test_a_full_disk_is_no_verdict(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is what was found, whatever can be written of it."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(project, TOY.format(ms=2).replace("def slow", "def gone"))
    monkeypatch.setattr(command, "write_json", full)
    monkeypatch.setattr(command, "publish", full)
    assert gate(*QUICK, *SLOW) == 1
    told = capsys.readouterr().err
    assert "warning: the report could not be written: [Errno 28]" in told
    assert "warning: gate.json could not be written: [Errno 28]" in told
