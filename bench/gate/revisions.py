"""What git knows of the revision to compare with, and its source in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# What says which packages a project needs; both sides of a gate run with the same ones installed.
_REQUIREMENTS = (
    "pyproject.toml", "setup.py", "setup.cfg", "constraints.txt", "requirements*.txt", "uv.lock",
    "poetry.lock", "pdm.lock",
)  # fmt: skip
_PREFIX = "se-bench-gate-"


class RevisionError(ValueError):
    """There is nothing to compare with, and why."""


@dataclass(frozen=True)
class Repository:
    """A git repository, and the package in it whose source trees are compared.

    Args:
        root: its top folder.
        package: folder or module at the top, by its name as imported.
    """

    root: Path
    package: str

    @classmethod
    def around(cls, folder: Path, package: str) -> Repository:
        """The one that a folder lies in.

        Raises:
            RevisionError: if it lies in none, git is missing, or the package is not there.
        """
        try:
            top = _git(folder, "rev-parse", "--show-toplevel")
        except RevisionError as error:
            raise RevisionError(f"{folder} must lie in a git repository: {error}") from error
        repository = cls(Path(top), package)
        if repository.source is None:
            raise RevisionError(
                f"--package must be a folder or module at the top of {top}, got {package!r}"
            )
        return repository

    @property
    def source(self) -> Path | None:
        """The package's folder or file, as it lies there now."""
        candidates = (self.root / self.package, self.root / f"{self.package}.py")
        return next((path for path in candidates if path.exists()), None)

    def merge_base(self, revision: str) -> str:
        """The commit at which HEAD has left a revision; it is what a change is compared with.

        Raises:
            RevisionError: if git has no such revision, or not the history to tell.
        """
        try:
            commit = _git(self.root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except RevisionError:
            raise RevisionError(
                f"--base must be a revision that git knows, got {revision!r}: {self._remedy()}"
            ) from None
        try:
            return _git(self.root, "merge-base", commit, "HEAD")
        except RevisionError:
            raise RevisionError(
                f"{revision} and HEAD have no commit in common here: {self._remedy()}"
            ) from None

    def _remedy(self) -> str:
        if _git(self.root, "rev-parse", "--is-shallow-repository") == "true":
            return (
                "the clone is shallow, so `git fetch --unshallow`, or give actions/checkout "
                "fetch-depth: 0"
            )
        return "`git fetch` may bring it"

    def is_unchanged_since(self, commit: str) -> bool:
        """Whether the package, as it lies there, is what it was at a commit."""
        changed = _git(self.root, "status", "--porcelain", "--", self._path())
        return not changed and not _git(
            self.root, "diff", "--name-only", commit, "--", self._path()
        )

    def notes(self, commit: str) -> list[str]:
        """What a reader of a comparison with ``commit`` must know, a line each."""
        lines = []
        if _git(self.root, "status", "--porcelain", "--", self._path()):
            lines.append(f"{self.package} has uncommitted changes: they are part of what is gated")
        changed = _git(self.root, "diff", "--name-only", commit, "--", *_REQUIREMENTS)
        if changed:
            lines.append(
                f"requirements may have changed ({', '.join(changed.splitlines())}): both sides "
                "run with the packages installed now"
            )
        return lines

    def _path(self) -> str:
        source = self.source
        return self.package if source is None else source.name

    @contextmanager
    def trees(self, commit: str) -> Iterator[tuple[Path, Path]]:
        """The package at a commit, and as it lies here now, each alone in a folder; then removed.

        Both are copies on paths of one length, so that nothing but their contents
        differs, and an edit in the meantime is not measured.

        Raises:
            RevisionError: if the commit has no such package.
            OSError: if there is no room for them.
        """
        self._remove_leftovers()
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as name:
            folder = Path(name)
            try:
                yield self._checked_out(commit, folder / "base"), self._copied(folder / "head")
            finally:
                self._forget(folder / "base")

    def _checked_out(self, commit: str, folder: Path) -> Path:
        _git(
            self.root,
            "worktree",
            "add",
            "--quiet",
            "--detach",
            "--no-checkout",
            str(folder),
            commit,
        )
        for path in (self.package, f"{self.package}.py"):
            with suppress(RevisionError):
                _git(folder, "checkout", "--quiet", commit, "--", path)
                return folder
        raise RevisionError(f"the base, {commit[:12]}, has no {self.package}")

    def _copied(self, folder: Path) -> Path:
        folder.mkdir()
        source = self.source
        assert source is not None  # or there would be no repository
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / source.name, ignore=ignored)
        else:
            shutil.copy2(source, folder)
        return folder

    def _forget(self, worktree: Path) -> None:
        with suppress(RevisionError):
            _git(self.root, "worktree", "remove", "--force", str(worktree))

    def _remove_leftovers(self) -> None:
        """What gates have left that were killed before they could."""
        _git(self.root, "worktree", "prune")
        for line in _git(self.root, "worktree", "list", "--porcelain").splitlines():
            worktree = Path(line.removeprefix("worktree "))
            parent = worktree.parent.name
            if not line.startswith("worktree ") or not parent.startswith(_PREFIX):
                continue
            owner = parent.removeprefix(_PREFIX).partition("-")[0]
            if not (owner.isdecimal() and psutil.pid_exists(int(owner))):
                self._forget(worktree)
                shutil.rmtree(worktree.parent, ignore_errors=True)


def _git(folder: Path, *arguments: str) -> str:
    """What git prints.

    Raises:
        RevisionError: with what git says, if it fails.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise RevisionError(f"git cannot be run: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RevisionError(lines[-1] if lines else f"git {arguments[0]} failed")
    return done.stdout.strip()
