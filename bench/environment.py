"""What a machine is, as far as a measurement depends on it, and what source was measured.

All of it is found without torch, so that a resumed run can tell within
milliseconds whether earlier measurements still hold.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path

import psutil

from bench.cpus import allowed_cpus, available_cores
from bench.quota import quota_cpus

_PROJECT = Path(__file__).resolve().parent.parent
_SOURCES = ("bench", "se_models")
_SOURCE_SUFFIXES = (".py", ".cpp", ".cu", ".h")
_PACKAGES = ("torch", "torchvision", "numpy")
# How OpenMP's threads wait for one another changes every multi-threaded time.
_OPENMP_VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_SPINCOUNT",
    "GOMP_CPU_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_NUM_THREADS",
    "LD_PRELOAD",
)


@dataclass(frozen=True)
class Machine:
    """What must be equal for two measurements to be used together.

    ``cores`` are the physical ones among the available CPUs; None where that
    is unknown, and in records older than the field.
    """

    cpu: str
    cpus: int
    available_cpus: int
    cores: int | None = field(default=None, kw_only=True)
    quota_cpus: float | None
    memory_bytes: int
    gpus: tuple[str, ...]
    gpu_driver: str | None
    system: str
    python: str
    packages: dict[str, str]
    openmp: dict[str, str]

    def differences(self, other: Machine) -> list[str]:
        """One line for each field in which ``other`` is known to differ from this machine."""
        if None in (self.cores, other.cores):
            return _differences(replace(self, cores=None), replace(other, cores=None))
        return _differences(self, other)


@dataclass(frozen=True)
class Runtime:
    """What a worker saw of torch once it was loaded.

    ``allocator`` is how the C library's was set while forwards were timed, as it
    comes in records older than the field.
    """

    torch: str
    interop_threads: int
    cpu_capability: str
    onednn: bool
    cuda: str | None
    gpu: str | None
    tf32_matmul: bool
    tf32_cudnn: bool
    cudnn_benchmark: bool
    allocator: str = "default"

    def differences(self, other: Runtime) -> list[str]:
        """One line for each field in which ``other`` differs from this runtime."""
        return _differences(self, other)


@dataclass(frozen=True)
class Source:
    """The code that was measured: what it is, and where in git's history it stands."""

    fingerprint: str
    commit: str | None
    dirty_diff: str | None


def describe_machine() -> Machine:
    """This machine, as this process may use it."""
    gpus, driver = _nvidia_gpus()
    return Machine(
        cpu=_cpu_name(),
        cpus=psutil.cpu_count(logical=True) or 1,
        available_cpus=len(allowed_cpus()),
        cores=available_cores(),
        quota_cpus=quota_cpus(),
        memory_bytes=psutil.virtual_memory().total,
        gpus=gpus,
        gpu_driver=driver,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
        openmp={name: os.environ[name] for name in _OPENMP_VARIABLES if name in os.environ},
    )


def has_cuda() -> bool:
    """Whether NVIDIA's driver is here and sees a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 < count.value


def describe_source() -> Source:
    """The suite's own source, as it lies on disk.

    The fingerprint covers both packages' code and nothing else, so that a
    change of the README, or of the results, leaves measurements valid.
    """
    digest = hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((_PROJECT / package).rglob("*")):
            if path.suffix in _SOURCE_SUFFIXES:
                digest.update(path.relative_to(_PROJECT).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    diff = _git("diff", "HEAD", "--", *_SOURCES)
    return Source(
        fingerprint=digest.hexdigest()[:16],
        commit=_git("rev-parse", "HEAD"),
        dirty_diff=hashlib.sha256(diff.encode()).hexdigest()[:16] if diff else None,
    )


def suite_version() -> str:
    return _version("se-bench")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _differences(now: Machine | Runtime, before: Machine | Runtime) -> list[str]:
    return [
        f"{name} was {getattr(before, name)!r}, is {getattr(now, name)!r}"
        for name in (field.name for field in fields(now))
        if getattr(now, name) != getattr(before, name)
    ]


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _nvidia_gpus() -> tuple[tuple[str, ...], str | None]:
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    text = _output(command)
    rows = [line.rsplit(", ", 1) for line in text.splitlines()] if text else []
    return tuple(row[0] for row in rows), rows[0][1] if rows else None


def _git(*arguments: str) -> str | None:
    return _output(["git", "-C", str(_PROJECT), *arguments])


def _output(command: list[str]) -> str | None:
    """What a command prints, or None where there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
