"""Made-up trees of what the kernel says under /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
