"""A small project whose gate is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gate import triple
from tests.bench.gate.repositories import git, repository
from tests.bench.gate.toy import FAKE


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on a branch, with a package that tells how long it takes."""
    folder = repository(tmp_path / "project")
    git(folder, "switch", "-q", "-c", "topic")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(triple, "PROCESS", FAKE)
    return folder
