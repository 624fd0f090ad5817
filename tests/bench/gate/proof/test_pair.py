"""The slower revision is slower where it should be, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.gate.proof.pair import _FILE, committed, pair, slow_down
from bench.git import RevisionError
from tests.bench.gate.repositories import commit, git, repository

ROOT = Path(__file__).parents[4]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A repository with this suite's blocks."""
    folder = repository(tmp_path / "suite")
    (folder / "se_models").mkdir()
    shutil.copy(ROOT / _FILE, folder / _FILE)
    commit(folder)
    return folder


def test_both_are_clones_and_the_slower_has_a_commit_more(suite: Path) -> None:
    """What is worked on meanwhile is in neither, and nothing stays."""
    (suite / _FILE).write_text("worked on")
    head = git(suite, "rev-parse", "HEAD")
    with pair(suite, 42) as found:
        assert git(found.equal, "rev-parse", "HEAD") == head
        assert git(found.slowed, "rev-parse", "HEAD~1") == head
        changed = git(found.slowed, "diff", "--stat", "HEAD~1")
        assert _FILE in changed
        assert "6 insertions(+)" in changed
        assert "(1, 32, 42, 16)" in (found.slowed / _FILE).read_text().replace("ones(", "(")
        assert git(found.slowed, "status", "--porcelain") == ""
    assert not found.equal.parent.exists()


def test_what_is_not_committed_cannot_be_proved(suite: Path) -> None:
    """The record names a commit."""
    assert committed(suite) == git(suite, "rev-parse", "HEAD")
    (suite / _FILE).write_text("changed")
    with pytest.raises(RevisionError, match="must be committed"):
        committed(suite)


def test_a_source_that_has_changed_is_refused(suite: Path) -> None:
    """Or the slower revision would be none."""
    (suite / _FILE).write_text("from torch import nn")
    with pytest.raises(ValueError, match="must have one 'case"):
        slow_down(suite, 42)
