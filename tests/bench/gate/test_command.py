"""The gate from a revision to an exit code: on small repositories, and on real models."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.cli import main
from bench.gate.ci import SUMMARY
from tests.bench.gate.repositories import TOY, commit, git, repository, write
from tests.bench.gate.toy import FAKE, QUICK, SLOW, gate, nothing_is_left


def test_a_slower_head_fails_by_name(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else does; the report is on the console, in the summary, in files."""
    write(project, TOY.format(ms=2.1))
    commit(project)
    monkeypatch.setenv(SUMMARY, str(project / "summary.md"))
    assert gate(*QUICK, *SLOW) == 1
    told = capsys.readouterr().out
    assert "## Timing gate: failed" in told
    assert re.search(r"\*\*toy_models:quick is [45]\.\d", told)
    assert (project / "summary.md").read_text() == f"{told}\n"
    found = json.loads((project / "out" / "gate.json").read_text())
    verdicts = {each["variant"]: each["verdict"] for each in found["variants"]}
    assert verdicts == {"toy_models:quick": "regressed", "toy_models:slow": "unchanged"}
    assert found["variants"][0]["change_pct"] == pytest.approx(5.0, abs=1.0)
    assert found["variants"][0]["confirmed_pct"] == pytest.approx(5.0, abs=1.0)
    assert {path.name for path in (project / "out").iterdir()} == {
        "gate.json", "gate.png", "gate.svg",
    }  # fmt: skip
    assert nothing_is_left(project)


def test_an_equal_head_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured only if asked for."""
    commit(project)
    assert gate(*QUICK) == 0
    assert "nothing was measured" in capsys.readouterr().out
    assert gate(*QUICK, "--even-if-equal") == 0
    assert "## Timing gate: passed" in capsys.readouterr().out


def test_new_requirements_of_an_equal_head_are_noted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though nothing is measured: a slower dependency cannot be seen."""
    (project / "constraints.txt").write_text("torch==2.14.1\n")
    commit(project)
    assert gate(*QUICK) == 0
    told = capsys.readouterr().out
    assert "- Note: requirements may have changed (constraints.txt): both sides run" in told
    assert "nothing was measured" in told


def test_a_faster_head_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is called improved; uncommitted changes are head's, and noted."""
    write(project, TOY.format(ms=1.8))
    assert gate(*QUICK) == 0
    told = capsys.readouterr()
    assert "improved" in told.out
    assert "- Note: toy_models has uncommitted changes" in told.out


def test_what_the_base_lacks_is_not_comparable(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new variant passes, beside others and alone; the report says that nothing was compared."""
    write(project, TOY.format(ms=2) + "\n\ndef new():\n    return forward\n")
    assert gate(*QUICK, "--factory", "toy_models:new") == 0
    assert "not comparable (the base cannot run it: AttributeError" in capsys.readouterr().out
    assert gate("--factory", "toy_models:new") == 0
    told = capsys.readouterr().out
    assert "## Timing gate: passed" in told
    assert "- Nothing was there to compare with: the base has none of these yet." in told
    assert nothing_is_left(project)


def test_a_base_that_has_it_and_fails_is_not_comparable(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not new: beside others it passes, and alone nothing is said of head."""
    write(project, TOY.format(ms=2) + "FAILING = ['slow']")
    commit(project)
    git(project, "branch", "-f", "main")
    write(project, TOY.format(ms=2) + "\n\ndef new():\n    return forward\n")
    assert gate(*QUICK, *SLOW) == 0
    assert "Nothing was there" not in capsys.readouterr().out
    assert gate(*SLOW, "--factory", "toy_models:new") == 2
    told = capsys.readouterr().out
    assert "## Timing gate: could not compare" in told
    assert "not comparable (the base cannot run it: KeyError: 'weights')" in told
    assert "Nothing was there" not in told


def test_what_head_lacks_is_broken(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A variant that vanished never passes."""
    write(project, TOY.format(ms=2).replace("def slow", "def gone"))
    assert gate(*QUICK, *SLOW) == 1
    assert "**toy_models:slow no longer runs**" in capsys.readouterr().out


def test_what_neither_side_can_run_never_passes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a slip in a name, beside a variant that is fine."""
    assert gate(*QUICK, "--factory", "toy_models:quikc", "--even-if-equal") == 2
    told = capsys.readouterr().out
    assert "## Timing gate: could not compare" in told
    assert "not run (neither side can run it: AttributeError" in told
    assert gate("--factory", "toy_models") == 2
    assert "factory must be MODULE:NAME, got 'toy_models'" in capsys.readouterr().err


def test_the_seed_is_drawn_and_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is given."""
    seeds = []
    for flags in ((), (), ("--seed", "5")):
        assert gate("--factory", "toy_models:quick", "--even-if-equal", *flags) == 0
        seeds.append(json.loads((project / "out" / "gate.json").read_text())["seed"])
        assert f"seed {seeds[-1]}." in capsys.readouterr().out
    assert seeds[0] != seeds[1]
    assert seeds[2] == 5


def test_what_the_caller_tells_python_comes_behind_the_tree(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is not measured in the tree's place; what the tree needs of it is found."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "needed.py").write_text("")
    write(tmp_path / "mine", "raise RuntimeError('not of the tree')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    write(project, "import needed\n" + TOY.format(ms=2))
    assert gate(*QUICK) == 0


def test_wrong_usage_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that is none, a device and threads that a gate cannot have."""
    assert gate(*QUICK, base="nonesuch") == 2
    assert "got 'nonesuch'" in capsys.readouterr().err
    assert gate("--device", "cuda") == 2
    assert "device must be cpu" in capsys.readouterr().err
    assert gate("--threads", "1,2") == 2
    assert "threads must be one number" in capsys.readouterr().err
    assert gate(*QUICK, "--factory", "others.speed:small") == 2
    assert "factory must be of one package, got toy_models, others" in capsys.readouterr().err
    assert gate(*QUICK, "--size", "64", "--batch", "8", "--threads", "1") == 2
    assert "flags of the grid, which it replaces, got batches, sizes" in capsys.readouterr().err
    assert git(project, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_behind(number: int, project: Path) -> None:
    """No process and no worktree, while it measures."""
    script = (
        "import sys; from bench.gate import triple; from bench.cli import main; "
        f"triple.PROCESS = {FAKE!r}; sys.exit(main(sys.argv[1:]))"
    )
    flags = ("gate", "--base", "main", *QUICK, "--even-if-equal", "--budget", "10m")
    process = subprocess.Popen(
        [sys.executable, "-c", script, *flags], stderr=subprocess.PIPE, text=True, cwd=project
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "measuring" in line:
            break
    children = psutil.Process(process.pid).children()
    assert len(children) == 3
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in told
    deadline = time.monotonic() + 10
    while any(child.is_running() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(child.is_running() for child in children)
    assert git(project, "worktree", "list").count("\n") == 0


@pytest.mark.slow
def test_real_processes_measure_a_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three triples of processes with torch; a sleep that is half as long again is found."""
    folder = repository(tmp_path / "project", ms=4)
    monkeypatch.chdir(folder)
    write(folder, TOY.format(ms=6))
    assert gate(*QUICK, "--threads", "1") == 1
    told = capsys.readouterr().out
    assert "toy_models:quick is " in told


@pytest.mark.slow
def test_real_models_are_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """This suite's own package with itself."""
    flags = ("--placements", "standard", "--paths", "eager", "--size", "64", "--even-if-equal")
    assert main(["gate", "--base", "HEAD", "--out", str(tmp_path), *flags]) == 0
    assert "resnet18/standard-r16" in capsys.readouterr().out
