"""The first use is one process that builds; the later ones are held against equal ones."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.measure import first_use
from bench.measure.first_use import CODES, FUSED, MODEL


def test_a_process_is_timed_to_its_end(tmp_path: Path) -> None:
    """With a cache of its own."""
    code = (
        "import os, time; time.sleep(0.05); "
        f"assert os.environ['XDG_CACHE_HOME'] == {str(tmp_path)!r}"
    )
    assert first_use.process_s(code, str(tmp_path)) > 0.05


def test_a_process_that_fails_is_no_time(tmp_path: Path) -> None:
    """Such as one that finds no kernels."""
    with pytest.raises(subprocess.CalledProcessError):
        first_use.process_s("assert False", str(tmp_path))


def test_a_round_has_a_process_of_each_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind one of each kind that is not counted; not always in the same order."""
    ran: list[str] = []

    def process_s(code: str, cache: str) -> float:
        ran.append(code)
        return float(len(code))

    monkeypatch.setattr(first_use, "process_s", process_s)
    times_s = first_use.rounds_s(("a", "a", "bcd"), 4, "cache")
    assert ran[:2] == ["a", "bcd"]
    rounds = [ran[2 + 3 * number : 5 + 3 * number] for number in range(4)]
    assert all(sorted(each) == ["a", "a", "bcd"] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1
    assert times_s.tolist() == [[1.0] * 4, [1.0] * 4, [3.0] * 4]


def test_differences_are_taken_within_rounds() -> None:
    """So that what slows a whole round falls on none of them."""
    noise_s = np.array([0.0, 5.0, 1.0, 9.0])
    row = first_use.row(50.0, np.stack([2 + noise_s, 2 + noise_s, 2.5 + noise_s]))
    assert (row.later_s, row.later_low_s, row.later_high_s) == pytest.approx((0.5, 0.5, 0.5))
    assert (row.control_s, row.control_low_s, row.control_high_s) == pytest.approx((0, 0, 0))
    assert (row.build_s, row.model_s, row.rounds) == (50.0, 5.0, 4)


def test_the_command_leaves_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels are built ahead of all else, in the cache that the others find them in."""
    ran: list[tuple[str, str]] = []

    def process_s(code: str, cache: str) -> float:
        ran.append((code, cache))
        return 70.0 if len(ran) == 1 else 3.0 if code == FUSED else 2.0

    monkeypatch.setattr(first_use, "process_s", process_s)
    first_use.main(["--out", str(tmp_path / "new"), "--rounds", "2"])
    assert [code for code, _ in ran[:3]] == [FUSED, MODEL, FUSED]
    assert len(ran) == 1 + 2 + 2 * len(CODES)
    assert len({cache for _, cache in ran}) == 1
    assert not Path(ran[0][1]).exists()
    with (tmp_path / "new" / first_use.FIRST_USE).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["build_s"], row["model_s"], row["later_s"], row["rounds"]) == (
        "70.0", "2.0", "1.0", "2"
    )  # fmt: skip


@pytest.mark.slow
def test_a_cache_is_filled_and_found(tmp_path: Path) -> None:
    """The codes that are timed are those that build and load."""
    first_use.process_s(FUSED, str(tmp_path))
    (library,) = tmp_path.rglob("cpu_*.so")
    built = library.stat().st_ino
    first_use.process_s(FUSED, str(tmp_path))
    assert library.stat().st_ino == built
