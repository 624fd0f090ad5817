"""Which CPUs this process may use, how many cores they are, and how many threads that makes.

Hyper-threads are told by the kernel's ``topology``
(docs.kernel.org/admin-guide/cputopology.html). Every reader takes the folder
that stands for /, and takes what it cannot read or understand for unknown,
never for an error.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import psutil

from bench.quota import kernel_text, quota_cpus

_ROOT = Path("/")


def usable_cpus(root: Path = _ROOT) -> int:
    """How many processes can run side by side: logical CPUs, within the quota rounded up."""
    quota = quota_cpus(root)
    allowed = len(allowed_cpus())
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def default_threads(root: Path = _ROOT) -> int:
    """How many threads one forward runs best on: cores, within the quota rounded down.

    Two hyper-threads of a core share its vector units, and threads of which
    the quota carries only a part are stopped in the middle of a forward.
    Where cores are unknown, logical CPUs stand for them.
    """
    quota = quota_cpus(root)
    cores = available_cores(root) or len(allowed_cpus())
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def allowed_cpus() -> frozenset[int]:
    """The CPUs in the affinity mask; the kernel keeps it within the group's cpuset."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def available_cores(root: Path = _ROOT) -> int | None:
    """How many physical cores the allowed CPUs are, or None where nobody says."""
    if hasattr(os, "sched_getaffinity"):
        return physical_cores(allowed_cpus(), root)
    return psutil.cpu_count(logical=False)


def physical_cores(cpus: frozenset[int], root: Path = _ROOT) -> int | None:
    """On how many physical cores these CPUs lie, or None if that is unknown for one of them."""
    cores = {_core_of(cpu, root) for cpu in cpus}
    return None if None in cores else len(cores)


def parse_cpu_list(text: str) -> frozenset[int]:
    """The CPUs of a list such as ``0-3,8,10-11``, as the kernel writes it.

    Raises:
        ValueError: if the text is no such list.
    """
    cpus: set[int] = set()
    for part in text.strip().split(",") if text.strip() else ():
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part, flags=re.ASCII)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise ValueError(f"a CPU list must be like 0-3,8, got {text!r}")
        cpus.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return frozenset(cpus)


def _core_of(cpu: int, root: Path) -> frozenset[int] | None:
    """All CPUs of the core that this one is of: newer kernels say core, older ones siblings."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):
        try:
            core = parse_cpu_list(kernel_text(topology / name))
        except ValueError:
            continue
        if cpu in core:
            return core
    return None
