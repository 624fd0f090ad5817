"""CPUs, cores and quotas are read as the kernel lays them out, in made-up trees."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import msgspec
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench import cpus
from bench.environment import Machine, describe_machine

V2 = "30 23 0:26 {shown} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 32 0:29 {shown} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_OTHER = "34 32 0:30 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset"


def put(root: Path, files: dict[str, str]) -> Path:
    """Lay files below a folder that stands for /."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def topology(siblings: dict[int, str], name: str = "core_cpus_list") -> dict[str, str]:
    return {
        f"sys/devices/system/cpu/cpu{cpu}/topology/{name}": f"{text}\n"
        for cpu, text in siblings.items()
    }


def version_2(group: str, quotas: dict[str, str], shown: str = "/") -> dict[str, str]:
    """A process in ``group``, and the ``cpu.max`` of folders below the mount."""
    return {
        "proc/self/cgroup": f"0::{group}\n",
        "proc/self/mountinfo": f"22 27 0:21 / /proc rw - proc proc rw\n{V2.format(shown=shown)}\n",
        **{f"sys/fs/cgroup{folder}/cpu.max": f"{text}\n" for folder, text in quotas.items()},
    }


def version_1(group: str, quotas: dict[str, int], shown: str = "/") -> dict[str, str]:
    """The same for ``cpu.cfs_quota_us``, with a period of 50 ms."""
    cpu = "sys/fs/cgroup/cpu,cpuacct"
    return {
        "proc/self/cgroup": f"9:name=systemd:/x\n4:cpu,cpuacct:{group}\n3:cpuset:/y\n",
        "proc/self/mountinfo": f"{V1_OTHER}\n{V1.format(shown=shown)}\n",
        **{f"{cpu}{folder}/cpu.cfs_quota_us": f"{us}\n" for folder, us in quotas.items()},
        **{f"{cpu}{folder}/cpu.cfs_period_us": "50000\n" for folder in quotas},
    }


def allow(monkeypatch: pytest.MonkeyPatch, *allowed: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(allowed))


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


# Quotas


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"/a/b": "150000 100000"}, 1.5),
        ({"/a/b": "400000 100000", "/a": "250000 100000"}, 2.5),
        ({"/a/b": "400000 100000", "": "100000 50000"}, 2.0),
        ({"/a/b": "max 100000", "/a": "300000 100000"}, 3.0),
        ({"/a/b": "150000 100000", "/a": "max 100000"}, 1.5),
        ({"/a/b": "max 100000", "/a": "max 100000"}, None),
        ({"/a/b": "max 100000", "/a/b/c": "100000 100000", "/z": "100000 100000"}, None),
        ({}, None),
    ],
    ids=["own", "parent", "mount", "own-max", "parent-max", "all-max", "others", "no-files"],
)
def test_the_least_quota_on_the_path_counts(
    tmp_path: Path, quotas: dict[str, str], expected: float | None
) -> None:
    """Of the process's own group and each above it; groups beside and below it do not matter."""
    assert cpus.quota_cpus(put(tmp_path, version_2("/a/b", quotas))) == expected


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"/a/b": -1, "/a": -1, "": -1}, None),
        ({"/a/b": 75000, "/a": -1, "": -1}, 1.5),
        ({"/a/b": 200000, "/a": 100000, "": -1}, 2.0),
        ({"/a/b": -1, "/a": -1, "": 25000}, 0.5),
        ({"/elsewhere": 25000}, None),
    ],
    ids=["none", "own", "parent", "mount", "others"],
)
def test_version_1_is_read_too(
    tmp_path: Path, quotas: dict[str, int], expected: float | None
) -> None:
    """From the hierarchy of the controller cpu, in which -1 is no quota."""
    assert cpus.quota_cpus(put(tmp_path, version_1("/a/b", quotas))) == expected


def test_where_both_versions_are_mounted_both_count(tmp_path: Path) -> None:
    """The tighter of the two holds, whichever it is."""
    for name, (old, new) in {"old": (100000, "300000 100000"), "new": (-1, "50000 100000")}.items():
        root = tmp_path / name
        put(root, version_1("/a", {"/a": old}))
        groups = (root / "proc/self/cgroup").read_text()
        mounts = (root / "proc/self/mountinfo").read_text()
        unified = V2.format(shown="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
        put(root, {"proc/self/cgroup": f"{groups}0::/\n"})
        put(root, {"proc/self/mountinfo": f"{mounts}{unified}\n"})
        put(root, {"sys/fs/cgroup/unified/cpu.max": new})
    assert cpus.quota_cpus(tmp_path / "old") == 2.0
    assert cpus.quota_cpus(tmp_path / "new") == 0.5


def test_only_what_can_carry_a_quota_is_taken_for_a_mount_of_it() -> None:
    """Version 2, and of version 1 the hierarchy of the controller cpu."""
    other = "22 27 0:21 / /proc rw,relatime - proc proc rw"
    lines = [other, V1_OTHER, V1.format(shown="/x"), V2.format(shown="/")]
    assert cpus.parse_mounts("\n".join(lines)) == [
        cpus.Mount(1, PurePosixPath("/x"), PurePosixPath("/sys/fs/cgroup/cpu,cpuacct")),
        cpus.Mount(2, PurePosixPath("/"), PurePosixPath("/sys/fs/cgroup")),
    ]


def test_a_mount_in_which_the_process_has_no_group_says_nothing(tmp_path: Path) -> None:
    """What is mounted there limits others."""
    put(tmp_path, version_2("/", {"": "100000 100000"}))
    put(tmp_path, {"proc/self/cgroup": "4:cpu:/\n"})
    assert cpus.quota_cpus(tmp_path) is None


@pytest.mark.parametrize(
    ("group", "shown", "below"),
    [
        ("/", "/", "."),
        ("/a/b", "/", "a/b"),
        ("/docker/x", "/docker/x", "."),
        ("/docker/x/y", "/docker/x", "y"),
        ("/docker/xy", "/docker/x", None),
        ("/a", "/b", None),
        ("/", "/..", "."),
        ("/a", "/../..", "."),
        ("/../x", "/..", "x"),
        ("/../x", "/../..", "."),
        ("/../x", "/", None),
        ("/../../x", "/..", None),
        ("/", "/../x", None),
    ],
)
def test_a_group_is_found_relative_to_what_its_mount_shows(
    group: str, shown: str, below: str | None
) -> None:
    """In containers mounts begin further down, or further up than the namespace does."""
    found = cpus.group_below(PurePosixPath(group), PurePosixPath(shown))
    assert found == (None if below is None else PurePosixPath(below))


def test_a_container_reads_its_own_quota(tmp_path: Path) -> None:
    """A path as the host sees it is cut to what the container's mount shows."""
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, version_1("/docker/x", {"": 125000}, shown="/docker/x"))
    put(two, version_2("/docker/x/y", {"/y": "max 100000", "": "70000 100000"}, shown="/docker/x"))
    assert cpus.quota_cpus(one) == 2.5
    assert cpus.quota_cpus(two) == 0.7


def test_a_group_that_is_gone_from_the_mount_leaves_those_above_it(tmp_path: Path) -> None:
    """Sandboxes name groups that they do not show; what is there still holds."""
    assert cpus.quota_cpus(put(tmp_path, version_2("/a/gone", {"": "100000 100000"}))) == 1.0


def test_a_mount_point_with_a_space_is_found(tmp_path: Path) -> None:
    """Mountinfo writes a space as an octal number."""
    put(tmp_path, {"proc/self/cgroup": "0::/my group\n"})
    put(tmp_path, {"proc/self/mountinfo": "30 23 0:26 / /c\\040g rw - cgroup2 none rw\n"})
    put(tmp_path, {"c g/my group/cpu.max": "100000 100000\n"})
    assert cpus.quota_cpus(tmp_path) == 1.0


@pytest.mark.parametrize(
    "text", ["", "odd", "100000", "100000 0", "0 100000", "-5 100000", "1 2 3", "x 100000", "max"]
)
def test_an_odd_quota_is_none(tmp_path: Path, text: str) -> None:
    """What makes no sense limits nothing, and hides no sensible quota above it."""
    one = put(tmp_path / "one", version_2("/a", {"/a": text}))
    two = put(tmp_path / "two", version_2("/a", {"/a": text, "": "100000 100000"}))
    assert cpus.quota_cpus(one) is None
    assert cpus.quota_cpus(two) == 1.0


@given(st.text(alphabet=":/.,-\n 0123cpugrou\\\udcff") | st.text())
@example("0::relative\n")
@example("4:cpu\n")
@example("1 2 3 4\n1 2 3 4 5 6 - \n - cgroup2\n")
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Whatever stands in /proc, a group's path is absolute and a mount has its version."""
    assert all(path.is_absolute() for path in cpus.parse_groups(text).values())
    assert {mount.version for mount in cpus.parse_mounts(text)} <= {1, 2}


def test_where_nothing_can_be_read_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc and /sys there is no quota, and logical CPUs stand for cores."""
    allow(monkeypatch, 0, 1, 5)
    assert cpus.quota_cpus(tmp_path) is None
    assert cpus.available_cores(tmp_path) is None
    assert cpus.default_threads(tmp_path) == cpus.usable_cpus(tmp_path) == 3


def test_bytes_that_are_no_text_are_odd_content(tmp_path: Path) -> None:
    """A group's name may be of any bytes, and is found by them; elsewhere they say nothing."""
    put(tmp_path, version_2("/", {"": "200000 100000"}))
    group = os.fsdecode(b"caf\xe9")
    (tmp_path / "proc/self/cgroup").write_bytes(b"0::/caf\xe9\n")
    put(tmp_path, {f"sys/fs/cgroup/{group}/cpu.max": "100000 100000\n"})
    put(tmp_path, topology({0: ""}))
    siblings = tmp_path / "sys/devices/system/cpu/cpu0/topology/core_cpus_list"
    siblings.write_bytes(b"\xff\xfe0")
    assert cpus.quota_cpus(tmp_path) == 1.0
    assert cpus.physical_cores(frozenset({0}), tmp_path) is None


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


# The record


def test_a_machine_of_before_is_read_and_is_the_same() -> None:
    """Records older than the field tell no cores, and what is unknown is no difference."""
    machine = replace(describe_machine(), cores=2)
    line = msgspec.to_builtins(machine)
    assert msgspec.convert(line, Machine) == machine
    del line["cores"]
    old = msgspec.convert(line, Machine)
    assert old.cores is None
    assert machine.differences(old) == []
    other = replace(machine, cores=4)
    assert machine.differences(other) == ["cores was 4, is 2"]


def test_a_machine_says_what_of_it_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPUs, cores and quota stand in the record, each under its own name."""
    monkeypatch.setattr("bench.environment.allowed_cpus", lambda: frozenset({0, 1, 4}))
    monkeypatch.setattr("bench.environment.available_cores", lambda: 2)
    monkeypatch.setattr("bench.environment.quota_cpus", lambda: 1.5)
    machine = describe_machine()
    assert (machine.available_cpus, machine.cores, machine.quota_cpus) == (3, 2, 1.5)
