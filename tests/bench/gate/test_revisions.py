"""What is compared with what, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from bench.gate import revisions
from bench.gate.revisions import Repository
from bench.gate.signals import terminated_as_by_ctrl_c
from bench.git import RevisionError
from bench.git import git as real_git
from tests.bench.gate.repositories import TOY, commit, git, repository, write

PACKAGE = "toy_models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


def worktrees(folder: Path) -> int:
    return git(folder, "worktree", "list").count("\n") + 1


def test_the_base_is_where_the_branch_was_left(folder: Path) -> None:
    """What has happened on main since is not the branch's doing."""
    first = git(folder, "rev-parse", "HEAD")
    git(folder, "switch", "-q", "-c", "topic")
    commit(folder)
    git(folder, "switch", "-q", "main")
    commit(folder, "meanwhile")
    git(folder, "switch", "-q", "topic")
    assert Repository.around(folder, PACKAGE).merge_base("main") == first


def test_trees_hold_the_package_alone_and_are_gone_afterwards(folder: Path) -> None:
    """The base's as it was, head's as it lies there, uncommitted changes included."""
    (folder / "README").write_text("not of the package")
    base = commit(folder)
    write(folder, TOY.format(ms=9))
    with Repository.around(folder, PACKAGE).trees(base) as (before, now):
        assert "MS = 2" in (before / PACKAGE / "__init__.py").read_text()
        assert "MS = 9" in (now / PACKAGE / "__init__.py").read_text()
        assert not (before / "README").exists()
        assert len(str(before)) == len(str(now))
        assert worktrees(folder) == 2
    assert worktrees(folder) == 1
    assert not before.parent.exists()


def test_an_error_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a full disk."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    subject = Repository.around(folder, PACKAGE)
    with pytest.raises(OSError, match="No space left"), subject.trees(subject.merge_base("HEAD")):
        pass
    assert worktrees(folder) == 1


def test_what_a_killed_gate_left_is_removed_by_the_next(folder: Path, tmp_path: Path) -> None:
    """But not what belongs to one that runs."""
    base = git(folder, "rev-parse", "HEAD")
    dead, alive = (tmp_path / f"se-bench-gate-{pid}-x" for pid in (2**22 + 1, os.getpid()))
    for each in (dead, alive):
        git(folder, "worktree", "add", "-q", "--detach", str(each / "base"), base)
    with Repository.around(folder, PACKAGE).trees(base):
        pass
    assert not dead.exists()
    assert (alive / "base").exists()


def test_a_locked_worktree_is_removed_and_a_users_is_not(folder: Path, tmp_path: Path) -> None:
    """Also one that git would prune, as on a disk that is not plugged in."""
    base = git(folder, "rev-parse", "HEAD")
    dead, users = tmp_path / f"se-bench-gate-{2**22 + 1}-x", tmp_path / "elsewhere"
    git(folder, "worktree", "add", "-q", "--detach", "--lock", str(dead / "base"), base)
    git(folder, "worktree", "add", "-q", "--detach", str(users), base)
    shutil.rmtree(users)
    with Repository.around(folder, PACKAGE).trees(base):
        pass
    listed = git(folder, "worktree", "list")
    assert "se-bench-gate" not in listed
    assert str(users) in listed


def test_what_keeps_git_from_checking_out_is_told(folder: Path) -> None:
    """In git's own words, and not as a package that is missing."""
    base = git(folder, "rev-parse", "HEAD")
    blob = git(folder, "rev-parse", f"HEAD:{PACKAGE}/__init__.py")
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with (
        pytest.raises(RevisionError, match=blob),
        Repository.around(folder, PACKAGE).trees(base),
    ):
        pass
    assert worktrees(folder) == 1


def test_hooks_neither_run_nor_lead_astray(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a gate that is called by one, which git tells of the repository it is in."""
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    base = git(folder, "rev-parse", "HEAD")
    other = repository(tmp_path / "other", ms=7)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    subject = Repository.around(folder, PACKAGE)
    assert subject.root == folder
    with subject.trees(base) as (before, _):
        assert "MS = 2" in (before / PACKAGE / "__init__.py").read_text()
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert worktrees(folder) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_git(
    number: signal.Signals, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it makes a worktree and while it forgets it; then nothing is left."""
    base = git(folder, "rev-parse", "HEAD")
    done = []

    def interrupted(folder: Path, *arguments: str) -> str:
        if arguments[0] == "worktree":
            signal.raise_signal(number)
        done.append(arguments[:2])
        return real_git(folder, *arguments)

    subject = Repository.around(folder, PACKAGE)
    subject._remove_leftovers()
    monkeypatch.setattr(Repository, "_remove_leftovers", lambda self: None)
    monkeypatch.setattr(revisions, "git", interrupted)
    with terminated_as_by_ctrl_c(), pytest.raises(KeyboardInterrupt), subject.trees(base):
        raise AssertionError("it goes on")
    assert ("worktree", "add") in done
    assert ("worktree", "remove") in done
    assert worktrees(folder) == 1


def test_a_single_module_is_a_package_too(tmp_path: Path) -> None:
    """As of a repository that is one file."""
    folder = repository(tmp_path / "project")
    (folder / "speed.py").write_text("A = 1")
    base = commit(folder)
    (folder / "speed.py").write_text("A = 2")
    with Repository.around(folder, "speed").trees(base) as (before, now):
        assert (before / "speed.py").read_text() == "A = 1"
        assert (now / "speed.py").read_text() == "A = 2"


def test_whether_the_package_has_changed(folder: Path) -> None:
    """A file that is not committed yet counts, one outside does not."""
    base = git(folder, "rev-parse", "HEAD")
    subject = Repository.around(folder, PACKAGE)
    (folder / "README").write_text("new")
    assert subject.is_unchanged_since(base)
    assert subject.notes(base) == []
    (folder / PACKAGE / "more.py").write_text("")
    assert not subject.is_unchanged_since(base)
    assert subject.notes(base) == [
        "toy_models has uncommitted changes: they are part of what is gated"
    ]
    commit(folder)
    assert not subject.is_unchanged_since(base)


def test_changed_requirements_are_told(folder: Path) -> None:
    """Both sides run with what is installed, whatever the base once asked for."""
    base = git(folder, "rev-parse", "HEAD")
    (folder / "pyproject.toml").write_text("[project]\nname = 'toy'\n")
    commit(folder)
    (note,) = Repository.around(folder, PACKAGE).notes(base)
    assert "pyproject.toml" in note
    assert "installed now" in note


def test_what_git_does_not_know_is_named(folder: Path) -> None:
    """With what may help."""
    with pytest.raises(RevisionError, match=r"got 'nonesuch': `git fetch` may bring it \(fatal: "):
        Repository.around(folder, PACKAGE).merge_base("nonesuch")


def test_a_shallow_clone_says_how_to_deepen_it(folder: Path, tmp_path: Path) -> None:
    """A revision that is not there, and a history that is cut off."""
    first = git(folder, "rev-parse", "HEAD")
    commit(folder, "second")
    git(folder, "branch", "other", first)
    shallow = tmp_path / "shallow"
    git(
        tmp_path,
        "clone",
        "-q",
        "--depth",
        "1",
        "--no-single-branch",
        f"file://{folder}",
        str(shallow),
    )
    subject = Repository.around(shallow, PACKAGE)
    with pytest.raises(RevisionError, match=r"the clone is shallow.*fetch-depth: 0"):
        subject.merge_base("HEAD~1")
    with pytest.raises(RevisionError, match="no commit in common here: the clone is shallow"):
        subject.merge_base("origin/other")


def test_a_base_without_the_package_is_refused(folder: Path) -> None:
    """It cannot be compared, and no worktree is left."""
    base = git(folder, "rev-parse", "HEAD")
    write(folder, "", "newcomer")
    with (
        pytest.raises(RevisionError, match=r"the base, .*, has no newcomer"),
        Repository.around(folder, "newcomer").trees(base),
    ):
        pass
    assert worktrees(folder) == 1


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    """And a package that is not there is named."""
    with pytest.raises(RevisionError, match="must lie in a git repository"):
        Repository.around(tmp_path, PACKAGE)
    with pytest.raises(RevisionError, match=r"--package must be .* got 'absent'"):
        Repository.around(repository(tmp_path / "project"), "absent")
