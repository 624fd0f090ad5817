"""How much CPU time the control groups of this process grant it.

The kernel says so in ``cpu.max`` of cgroups(7) version 2, and in
``cpu.cfs_quota_us`` of version 1. Every reader takes the folder that stands
for /, and takes what it cannot read or understand for no quota, never for an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


@dataclass(frozen=True)
class Mount:
    """A control group hierarchy that may carry CPU quotas, where it is mounted.

    ``shown`` is the group that ``point`` shows; both are absolute.
    """

    version: int
    shown: PurePosixPath
    point: PurePosixPath


def quota_cpus(root: Path = _ROOT) -> float | None:
    """The least CPU quota of this process's control group and those above it, in CPUs.

    Of both versions, since a machine may have both. None where there is no
    quota, or none can be seen.
    """
    groups = parse_groups(kernel_text(root / "proc/self/cgroup"))
    quotas = [
        _quota_of(folder, mount.version)
        for mount in parse_mounts(kernel_text(root / "proc/self/mountinfo"))
        if mount.version in groups
        for folder in _folders(groups[mount.version], mount, root)
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


def parse_groups(text: str) -> dict[int, PurePosixPath]:
    """The process's group by version, from /proc/self/cgroup (cgroups(7)).

    Of version 1 it is that in the hierarchy of the controller ``cpu``.
    """
    groups = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            groups[2] = PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            groups[1] = PurePosixPath(path)
    return groups


def parse_mounts(text: str) -> list[Mount]:
    """The mounts that may show CPU quotas, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        place, kind = before.split(), after.split()
        if len(place) < 6 or not kind:
            continue
        shown, point = (PurePosixPath(_unescaped(field)) for field in place[3:5])
        if kind[0] == "cgroup2":
            mounts.append(Mount(2, shown, point))
        elif kind[0] == "cgroup" and "cpu" in kind[-1].split(","):
            mounts.append(Mount(1, shown, point))
    return mounts


def parse_quota(quota: str, period: str) -> float | None:
    """A quota in CPUs; None if there is none (``max``, ``-1``) or it makes no sense."""
    try:
        granted, every = int(quota), int(period)
    except ValueError:
        return None
    return granted / every if granted > 0 and every > 0 else None


def group_below(group: PurePosixPath, shown: PurePosixPath) -> PurePosixPath | None:
    """Where a group lies below the one that a mount shows; None if it does not lie there.

    In a namespace of control groups both are relative to the namespace's
    root, and ``/..`` is the group above that. How the way down from there is
    called cannot be told, so that only the shown group itself is known.
    """
    if group.is_relative_to(shown):
        below = group.relative_to(shown)
        return None if ".." in below.parts else below
    return PurePosixPath() if set(shown.parts[1:]) == {".."} else None


def kernel_text(path: Path) -> str:
    """A file's text, empty where there is none; a path in it may be of any bytes."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _folders(group: PurePosixPath, mount: Mount, root: Path) -> Iterator[Path]:
    """The group's folder and those above it, up to the mount; some may not be there."""
    below = group_below(group, mount.shown)
    if below is not None:
        point = root / mount.point.relative_to("/")
        yield from (point / part for part in (below, *below.parents))


def _quota_of(folder: Path, version: int) -> float | None:
    if version == 2:
        quota, _, period = kernel_text(folder / "cpu.max").partition(" ")
        return parse_quota(quota, period)
    return parse_quota(
        kernel_text(folder / "cpu.cfs_quota_us"), kernel_text(folder / "cpu.cfs_period_us")
    )


def _unescaped(field: str) -> str:
    r"""A field of mountinfo, in which a space is ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
