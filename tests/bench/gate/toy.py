"""The gate, called on a small project."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from bench.cli import main
from tests.bench.gate import fake_candidate
from tests.bench.gate.repositories import git

FAKE = (sys.executable, "-P", fake_candidate.__file__)
QUICK, SLOW = ("--factory", "toy_models:quick"), ("--factory", "toy_models:slow")


def gate(*flags: str, base: str = "main") -> int:
    return main(["gate", "--base", base, "--out", "out", "--budget", "20s", *flags])


def nothing_is_left(folder: Path) -> bool:
    started = [p for p in psutil.Process().children(recursive=True) if p.is_running()]
    candidates = [p for p in started if "candidate" in " ".join(p.cmdline())]
    return git(folder, "worktree", "list").count("\n") == 0 and not candidates
