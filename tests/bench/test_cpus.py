"""CPUs and cores are read as the kernel lays them out, in made-up trees."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench import cpus
from bench.quota import quota_cpus
from tests.bench.kernel import allow, put, topology, version_2

# CPU lists


def ranges_of(numbers: set[int]) -> str:
    """The list as the kernel writes it: runs joined, ascending."""
    parts = []
    for first in sorted(number for number in numbers if number - 1 not in numbers):
        last = first
        while last + 1 in numbers:
            last += 1
        parts.append(f"{first}" if last == first else f"{first}-{last}")
    return ",".join(parts)


@given(st.sets(st.integers(0, 60) | st.integers(0, 2000)))
@example({0, 1, 2, 3, 8, 10, 11})
def test_a_cpu_list_gives_its_cpus(numbers: set[int]) -> None:
    """Whatever the kernel writes as a list is read back, with or without the line's end."""
    text = ranges_of(numbers)
    assert cpus.parse_cpu_list(text) == cpus.parse_cpu_list(f"{text}\n") == numbers


@pytest.mark.parametrize(
    "text", ["a", "0-", "-1", "3-1", "0,,1", "0-3:1/2", "1.5", "0x1", "\u0663"]
)
def test_what_is_no_cpu_list_is_an_error(text: str) -> None:
    """Odd text is refused, not read by halves."""
    with pytest.raises(ValueError, match="a CPU list must be like 0-3,8, got"):
        cpus.parse_cpu_list(text)


# Cores


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
@pytest.mark.parametrize(
    ("siblings", "allowed", "cores"),
    [
        ({0: "0", 1: "1", 2: "2", 3: "3"}, {0, 1, 2, 3}, 4),
        ({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, {0, 1, 2, 3}, 2),
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {0, 1, 2, 3}, 2),
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {0, 1}, 2),
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {0, 1, 2}, 2),
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {1, 3}, 1),
    ],
    ids=["no-siblings", "neighbours", "halves", "one-of-each", "one-and-a-half", "one-core"],
)
def test_siblings_are_one_core(
    tmp_path: Path, name: str, siblings: dict[int, str], allowed: set[int], cores: int
) -> None:
    """Hyper-threads of a core count once, and only cores with an allowed CPU count."""
    root = put(tmp_path, topology(siblings, name))
    assert cpus.physical_cores(frozenset(allowed), root) == cores


def test_the_newer_name_wins_unless_it_makes_no_sense(tmp_path: Path) -> None:
    """Both files are asked, the deprecated one only where the other says nothing."""
    put(tmp_path, topology({0: "0", 1: "1", 2: "?", 3: ""}))
    put(tmp_path, topology({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, "thread_siblings_list"))
    assert cpus.physical_cores(frozenset({0, 1}), tmp_path) == 2
    assert cpus.physical_cores(frozenset({2, 3}), tmp_path) == 1


@pytest.mark.parametrize("text", [None, "", "odd", "4-5"], ids=["missing", "empty", "odd", "other"])
def test_cores_are_unknown_if_one_cpu_says_nothing_sensible(
    tmp_path: Path, text: str | None
) -> None:
    """A guess from the other CPUs would be worse than to say so."""
    put(tmp_path, topology({0: "0"} if text is None else {0: "0", 1: text}))
    assert cpus.physical_cores(frozenset({0}), tmp_path) == 1
    assert cpus.physical_cores(frozenset({0, 1}), tmp_path) is None


def test_without_affinity_masks_every_core_is_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On systems without them psutil knows the cores, and all CPUs are allowed."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 6 if logical else 3)
    assert cpus.allowed_cpus() == frozenset(range(6))
    assert cpus.available_cores(tmp_path) == cpus.default_threads(tmp_path) == 3
    assert cpus.usable_cpus(tmp_path) == 6


def test_bytes_that_are_no_text_say_nothing_of_a_core(tmp_path: Path) -> None:
    """They are odd content, and no error."""
    put(tmp_path, topology({0: ""}))
    siblings = tmp_path / "sys/devices/system/cpu/cpu0/topology/core_cpus_list"
    siblings.write_bytes(b"\xff\xfe0")
    assert cpus.physical_cores(frozenset({0}), tmp_path) is None


def test_where_nothing_can_be_read_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc and /sys there is no quota, and logical CPUs stand for cores."""
    allow(monkeypatch, 0, 1, 5)
    assert quota_cpus(tmp_path) is None
    assert cpus.available_cores(tmp_path) is None
    assert cpus.default_threads(tmp_path) == cpus.usable_cpus(tmp_path) == 3


# What follows for processes and threads


@pytest.mark.parametrize(
    ("quota", "processes", "threads"),
    [
        ("max 100000", 8, 4),
        ("50000 100000", 1, 1),
        ("100000 100000", 1, 1),
        ("150000 100000", 2, 1),
        ("390000 100000", 4, 3),
        ("600000 100000", 6, 4),
        ("1600000 100000", 8, 4),
    ],
)
def test_quota_and_cores_limit_processes_and_threads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: str,
    processes: int,
    threads: int,
) -> None:
    """Processes take all CPUs and a begun one of the quota, threads whole cores within it."""
    allow(monkeypatch, *range(8))
    put(tmp_path, topology({cpu: f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}))
    put(tmp_path, version_2("/a", {"/a": quota}))
    assert cpus.usable_cpus(tmp_path) == processes
    assert cpus.default_threads(tmp_path) == threads


def test_one_sibling_of_each_pair_makes_as_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hyper-threads masked out every allowed CPU is a core."""
    allow(monkeypatch, 0, 1, 2, 3)
    put(tmp_path, topology({cpu: f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}))
    assert cpus.default_threads(tmp_path) == cpus.usable_cpus(tmp_path) == 4
