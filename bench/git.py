"""git, on the repository that it is told, whatever called us."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePath

# What git tells its hooks, and what would lead to another repository or index than the folder's.
_OF_ANOTHER = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
)  # fmt: skip


class RevisionError(ValueError):
    """There is nothing to compare with, and why."""


def git(folder: Path, *arguments: str) -> str:
    """What git prints, without the white space around it.

    Raises:
        RevisionError: with what git says, if it fails.
    """
    return _run(folder, *arguments).decode(errors="replace").strip()


def blob(folder: Path, revision: str, path: PurePath) -> bytes:
    """A file of a revision, byte for byte.

    Args:
        folder: of the repository.
        revision: any that git knows.
        path: from the top of the repository.

    Raises:
        RevisionError: if there is none.
    """
    return _run(folder, "show", f"{revision}:{path.as_posix()}")


def _run(folder: Path, *arguments: str) -> bytes:
    """What git prints. No hook runs, and Ctrl-C reaches its caller alone, which then tidies up.

    Raises:
        RevisionError: with what git says, if it fails.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "-c", f"core.hooksPath={os.devnull}", *arguments],
            capture_output=True, check=False, start_new_session=True, env=_environment(),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise RevisionError(f"git cannot be run: {error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RevisionError(lines[-1] if lines else f"git {arguments[0]} failed")
    return done.stdout


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
    # Looking at a repository must not write to it, nor wait for whoever does.
    return {**inherited, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
