"""Quotas of control groups are read as the kernel lays them out, in made-up trees."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench import quota
from tests.bench.kernel import V1, V1_OTHER, V2, put, version_1, version_2


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
    assert quota.quota_cpus(put(tmp_path, version_2("/a/b", quotas))) == expected


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
    assert quota.quota_cpus(put(tmp_path, version_1("/a/b", quotas))) == expected


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
    assert quota.quota_cpus(tmp_path / "old") == 2.0
    assert quota.quota_cpus(tmp_path / "new") == 0.5


def test_only_what_can_carry_a_quota_is_taken_for_a_mount_of_it() -> None:
    """Version 2, and of version 1 the hierarchy of the controller cpu."""
    other = "22 27 0:21 / /proc rw,relatime - proc proc rw"
    lines = [other, V1_OTHER, V1.format(shown="/x"), V2.format(shown="/")]
    assert quota.parse_mounts("\n".join(lines)) == [
        quota.Mount(1, PurePosixPath("/x"), PurePosixPath("/sys/fs/cgroup/cpu,cpuacct")),
        quota.Mount(2, PurePosixPath("/"), PurePosixPath("/sys/fs/cgroup")),
    ]


def test_a_mount_in_which_the_process_has_no_group_says_nothing(tmp_path: Path) -> None:
    """What is mounted there limits others."""
    put(tmp_path, version_2("/", {"": "100000 100000"}))
    put(tmp_path, {"proc/self/cgroup": "4:cpu:/\n"})
    assert quota.quota_cpus(tmp_path) is None


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
    found = quota.group_below(PurePosixPath(group), PurePosixPath(shown))
    assert found == (None if below is None else PurePosixPath(below))


def test_a_container_reads_its_own_quota(tmp_path: Path) -> None:
    """A path as the host sees it is cut to what the container's mount shows."""
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, version_1("/docker/x", {"": 125000}, shown="/docker/x"))
    put(two, version_2("/docker/x/y", {"/y": "max 100000", "": "70000 100000"}, shown="/docker/x"))
    assert quota.quota_cpus(one) == 2.5
    assert quota.quota_cpus(two) == 0.7


def test_a_group_that_is_gone_from_the_mount_leaves_those_above_it(tmp_path: Path) -> None:
    """Sandboxes name groups that they do not show; what is there still holds."""
    assert quota.quota_cpus(put(tmp_path, version_2("/a/gone", {"": "100000 100000"}))) == 1.0


def test_a_mount_point_with_a_space_is_found(tmp_path: Path) -> None:
    """Mountinfo writes a space as an octal number."""
    put(tmp_path, {"proc/self/cgroup": "0::/my group\n"})
    put(tmp_path, {"proc/self/mountinfo": "30 23 0:26 / /c\\040g rw - cgroup2 none rw\n"})
    put(tmp_path, {"c g/my group/cpu.max": "100000 100000\n"})
    assert quota.quota_cpus(tmp_path) == 1.0


@pytest.mark.parametrize(
    "text", ["", "odd", "100000", "100000 0", "0 100000", "-5 100000", "1 2 3", "x 100000", "max"]
)
def test_an_odd_quota_is_none(tmp_path: Path, text: str) -> None:
    """What makes no sense limits nothing, and hides no sensible quota above it."""
    one = put(tmp_path / "one", version_2("/a", {"/a": text}))
    two = put(tmp_path / "two", version_2("/a", {"/a": text, "": "100000 100000"}))
    assert quota.quota_cpus(one) is None
    assert quota.quota_cpus(two) == 1.0


@given(st.text(alphabet=":/.,-\n 0123cpugrou\\\udcff") | st.text())
@example("0::relative\n")
@example("4:cpu\n")
@example("1 2 3 4\n1 2 3 4 5 6 - \n - cgroup2\n")
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Whatever stands in /proc, a group's path is absolute and a mount has its version."""
    assert all(path.is_absolute() for path in quota.parse_groups(text).values())
    assert {mount.version for mount in quota.parse_mounts(text)} <= {1, 2}


def test_bytes_that_are_no_text_are_odd_content(tmp_path: Path) -> None:
    """A group's name may be of any bytes, and is found by them."""
    put(tmp_path, version_2("/", {"": "200000 100000"}))
    group = os.fsdecode(b"caf\xe9")
    (tmp_path / "proc/self/cgroup").write_bytes(b"0::/caf\xe9\n")
    put(tmp_path, {f"sys/fs/cgroup/{group}/cpu.max": "100000 100000\n"})
    assert quota.quota_cpus(tmp_path) == 1.0
