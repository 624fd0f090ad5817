"""What git knows of the revision to compare with, and its source in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.gate.signals import held
from bench.git import RevisionError, git

# What says which packages a project needs; both sides of a gate run with the same ones installed.
_REQUIREMENTS = (
    "pyproject.toml", "setup.py", "setup.cfg", "constraints.txt", "requirements*.txt", "uv.lock",
    "poetry.lock", "pdm.lock",
)  # fmt: skip
_PREFIX = "se-bench-gate-"


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
            top = git(folder, "rev-parse", "--show-toplevel")
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
            commit = git(self.root, "rev-parse", "--verify", f"{revision}^{{commit}}")
            git(self.root, "cat-file", "-e", f"{commit}^{{commit}}")
        except RevisionError as error:
            raise RevisionError(
                f"--base must be a revision that git knows, got {revision!r}: {self._remedy()} "
                f"({error})"
            ) from None
        try:
            return git(self.root, "merge-base", commit, "HEAD")
        except RevisionError:
            raise RevisionError(
                f"{revision} and HEAD have no commit in common here: {self._remedy()}"
            ) from None

    def _remedy(self) -> str:
        if git(self.root, "rev-parse", "--is-shallow-repository") == "true":
            return (
                "the clone is shallow, so `git fetch --unshallow`, or give actions/checkout "
                "fetch-depth: 0"
            )
        return "`git fetch` may bring it"

    def is_unchanged_since(self, commit: str) -> bool:
        """Whether the package, as it lies there, is what it was at a commit."""
        changed = git(self.root, "status", "--porcelain", "--", self._path())
        return not changed and not git(self.root, "diff", "--name-only", commit, "--", self._path())

    def notes(self, commit: str) -> list[str]:
        """What a reader of a comparison with ``commit`` must know, a line each."""
        lines = []
        if git(self.root, "status", "--porcelain", "--", self._path()):
            lines.append(f"{self.package} has uncommitted changes: they are part of what is gated")
        changed = git(self.root, "diff", "--name-only", commit, "--", *_REQUIREMENTS)
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
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        try:
            with held():
                base = self._checked_out(commit, folder / "base")
            yield base, self._copied(folder / "head")
        finally:
            with held():
                self._forget(folder)

    def _checked_out(self, commit: str, folder: Path) -> Path:
        names = (self.package, f"{self.package}.py")
        found = git(self.root, "ls-tree", "--name-only", commit, "--", *names).splitlines()
        if not found:
            raise RevisionError(f"the base, {commit[:12]}, has no {self.package}")
        add = ("worktree", "add", "--quiet", "--detach", "--no-checkout")
        git(self.root, *add, str(folder), commit)
        name = next(name for name in names if name in found)  # as import prefers
        git(folder, "checkout", "--quiet", commit, "--", name)
        return folder

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

    def _forget(self, folder: Path) -> None:
        """Delete a gate's folder, and what git knows of the worktree in it."""
        with suppress(RevisionError):
            # Once for what was changed in it, and once for a lock.
            git(self.root, "worktree", "remove", "--force", "--force", str(folder / "base"))
        shutil.rmtree(folder, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """What gates have left that were killed before they could; nothing of anybody else's."""
        for line in git(self.root, "worktree", "list", "--porcelain").splitlines():
            folder = Path(line.removeprefix("worktree ")).parent
            if not line.startswith("worktree ") or not folder.name.startswith(_PREFIX):
                continue
            owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if not (owner.isdecimal() and psutil.pid_exists(int(owner))):
                with held():
                    self._forget(folder)
