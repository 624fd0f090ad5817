"""Small git repositories with a package that takes as long as it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Sleeping is no work, so that tests disturb each other little.
TOY = """\
import time

MS = {ms}


def forward():
    time.sleep(MS / 1000)


def quick():
    return forward


def slow():
    return lambda: time.sleep(0.004)
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def write(folder: Path, text: str, package: str = "toy_models") -> None:
    (folder / package).mkdir(exist_ok=True)
    (folder / package / "__init__.py").write_text(text)


def commit(folder: Path, message: str = "change") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path, ms: float = 2) -> Path:
    """One commit, on the branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    write(folder, TOY.format(ms=ms))
    commit(folder, "first")
    return folder
