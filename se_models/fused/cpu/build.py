"""Build the CPU's kernels on first use, and load them: one library per source, CPU and torch.

Building is a process of its own, which runs this file, since torch's tools for
it change much in the process that imports them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs
import torch
from filelock import FileLock

SOURCE = Path(__file__).with_name("kernels.cpp")
# What torch itself is built with, for the vectors that it uses on this CPU.
_VECTORS = {
    "AVX2": ("-mavx2", "-mfma", "-mf16c"),
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"),
}
# A place in a source, and what is wrong there. A missing header and a full disk are told with a
# place too, but as fatal; they, a missing tool and a compiler that is killed may be mended.
_WRONG_SOURCE = re.compile(r"\S+:\d+:\d+: error: ")
# What no process has loaded for so long is removed when a library is built.
_UNUSED_S = 90 * 24 * 3600.0

# A cache alone has threads that come at once do the same, and each that fails takes a minute.
_LOADING = threading.Lock()


def load() -> str | None:
    """Load the kernels into torch, building them if need be; why they are not, or None."""
    with _LOADING:
        return _load()


@cache
def _load() -> str | None:
    library = library_path()
    broken = None
    try:
        if library.exists():
            broken = _load_error(library)
            if broken is None:
                return None
        _build(library)
    except (OSError, RuntimeError) as error:
        if broken is None:
            return str(error)
        return f"{library} cannot be loaded ({broken}), nor built again: {error}"
    return None


def _load_error(library: Path) -> str | None:
    """Load a library that is there; why that failed, or None."""
    try:
        torch.ops.load_library(library)
    except (OSError, RuntimeError) as error:
        return str(error.__cause__ or error)  # torch tells the linker's reason as the cause
    with suppress(OSError):  # a cache that cannot be written is good enough to read
        os.utime(library)  # in use, for `_remove_unused`
    return None


def library_path() -> Path:
    """Where the library is kept for these sources, CPU and torch."""
    sources = (SOURCE, *sorted(SOURCE.parent.glob("*.h")))
    made_from = (
        *(source.read_text(encoding="utf-8") for source in sources),
        torch.__version__,
        platform.machine(),
        " ".join(flags()),
    )
    digest = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("se_models") / f"cpu_{digest}.so"


def took_s() -> float:
    """How long building the library took, whoever did; 0 if nobody has noted it."""
    try:
        return float(library_path().with_suffix(".seconds").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def flags() -> list[str]:
    """The compiler's flags for the vectors of this CPU."""
    capability = torch.backends.cpu.get_cpu_capability()
    known = capability if capability in _VECTORS else "DEFAULT"
    return [
        "-O3",
        "-fopenmp",
        f"-DCPU_CAPABILITY={known}",
        f"-DCPU_CAPABILITY_{known}",
        *_VECTORS.get(known, ()),
    ]


def _build(library: Path) -> None:
    """Build ``library`` and load it, unless another process builds it meanwhile, or has failed to.

    One that is there and cannot be loaded, such as what a crash of the machine leaves, is removed.

    Raises:
        OSError: if the cache cannot be written.
        RuntimeError: if it cannot be built, or what was built cannot be loaded; says why.
    """
    failure = _failure_of(library, _compiler())
    library.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(library.with_suffix(".lock")):
        if library.exists() and _load_error(library) is None:
            return
        if failure.exists():
            raise _remembered(failure)
        library.unlink(missing_ok=True)
        _tell("building its CPU kernels, once for this CPU and torch; this takes about a minute")
        started = time.monotonic()
        done = subprocess.run(
            # -P: or the files beside this one would stand in the way of modules by their names.
            [sys.executable, "-P", __file__, str(library)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise _failed(
                _reason(done.stderr) or f"the build ended with {done.returncode}", failure
            )
        elapsed_s = time.monotonic() - started
        library.with_suffix(".seconds").write_text(repr(elapsed_s), encoding="ascii")
        _tell(f"built in {elapsed_s:.0f} s, kept as {library}")
        _remove_unused(library.parent)
        broken = _load_error(library)
        if broken is not None:
            failure.write_text(f"{library} was built and cannot be loaded: {broken}", "utf-8")
            raise _remembered(failure)


def _compiler() -> str:
    """The path of the compiler that torch will call, by torch's own rule.

    Raises:
        RuntimeError: if there is none.
    """
    name = os.environ.get("CXX", "c++")
    path = shutil.which(name, path=_path())
    if path is None:
        raise RuntimeError(f"there is no C++ compiler {name!r}; the variable CXX names another")
    return os.path.realpath(path)


def _path() -> str:
    """Where tools are looked for; what is installed beside this Python need not be on the PATH."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join((own, os.environ.get("PATH", os.defpath)))


def _failure_of(library: Path, compiler: str) -> Path:
    """Where it is noted why this compiler, as it is now, cannot build ``library``."""
    found = Path(compiler).stat()
    made_by = f"{compiler} {found.st_size} {found.st_mtime_ns}"
    digest = hashlib.sha256(made_by.encode()).hexdigest()[:16]
    return library.with_name(f"{library.stem}.{digest}.failed")


def _failed(reason: str, failure: Path) -> RuntimeError:
    """The error of a build; what would come of every other try is noted."""
    if _WRONG_SOURCE.search(reason) is None:
        return RuntimeError(reason)
    failure.write_text(reason, encoding="utf-8")
    return _remembered(failure)


def _remembered(failure: Path) -> RuntimeError:
    reason = failure.read_text(encoding="utf-8")
    return RuntimeError(
        f"{reason} (not tried again with this compiler until {failure} is removed; the variable "
        "CXX names another)"
    )


def _remove_unused(folder: Path) -> None:
    """Remove what older sources and versions of torch have left.

    Locks stay, since a process might hold one; they are empty.
    """
    for pattern in ("cpu_*.so", "cpu_*.failed"):
        for file in folder.glob(pattern):
            with suppress(OSError):  # another process may do the same
                if time.time() - file.stat().st_mtime > _UNUSED_S:
                    file.unlink()
                    file.with_suffix(".seconds").unlink(missing_ok=True)


def _reason(said: str) -> str:
    """The line that tells why: the compiler's first error, for ninja's last words follow it."""
    lines = said.strip().splitlines()
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")


def _tell(line: str) -> None:
    print(f"se_models: {line}", file=sys.stderr, flush=True)


def compile_into(library: Path) -> None:
    """Compile the kernels; ``library`` is there when they are whole, or not at all.

    It is for a process of its own, whose PATH it changes.

    Raises:
        RuntimeError: if a tool is missing, or the compiler finds an error.
    """
    from torch.utils import cpp_extension

    os.environ["PATH"] = _path()
    compiler = cpp_extension.get_cxx_compiler()
    if not cpp_extension.check_compiler_ok_for_platform(compiler):
        raise RuntimeError(
            f"torch builds nothing with {compiler!r}; the variable CXX names another"
        )
    cpp_extension.verify_ninja_availability()
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        cpp_extension.load(
            name=library.stem,
            sources=[str(SOURCE)],
            extra_cflags=flags(),
            extra_ldflags=["-fopenmp"],
            build_directory=folder,
            is_python_module=False,
        )
        Path(folder, f"{library.stem}.so").replace(library)


if __name__ == "__main__":
    try:
        compile_into(Path(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(str(error))
