"""The committed table comes back as it was written, and one that cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.gate.baseline import COUNTS, VERSIONS, Baseline
from tests.bench.gate.tables import baseline


def test_it_comes_back(tmp_path: Path) -> None:
    """Every number and every version."""
    baseline(3).write(tmp_path / "new")
    found = Baseline.read(tmp_path / "new")
    assert found.versions == baseline(3).versions
    pd.testing.assert_frame_equal(found.counts, baseline(3).counts)


def test_without_one_it_says_how_to_make_it(tmp_path: Path) -> None:
    """By the flag that does."""
    with pytest.raises(FileNotFoundError, match=r"got .*: make it with --update"):
        Baseline.read(tmp_path)


def test_other_quantities_are_refused(tmp_path: Path) -> None:
    """As in a baseline of an older suite: what was not counted then cannot be compared."""
    baseline().write(tmp_path)
    table = pd.read_csv(tmp_path / COUNTS).drop(columns="macs")
    table.to_csv(tmp_path / COUNTS, index=False)
    with pytest.raises(ValueError, match=r"columns of .* must be variant, .*macs.*, got variant"):
        Baseline.read(tmp_path)


def test_two_lines_of_one_variant_are_refused(tmp_path: Path) -> None:
    """As a merge by hand may leave them."""
    baseline().write(tmp_path)
    lines = (tmp_path / COUNTS).read_text().splitlines()
    (tmp_path / COUNTS).write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(ValueError, match=r"one line .* several of resnet18/standard-r1/none"):
        Baseline.read(tmp_path)


def test_versions_that_are_none_are_refused(tmp_path: Path) -> None:
    """With the file's name."""
    baseline().write(tmp_path)
    (tmp_path / VERSIONS).write_text("{}")
    with pytest.raises(ValueError, match=VERSIONS):
        Baseline.read(tmp_path)
