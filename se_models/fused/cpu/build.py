"""Build the CPU's kernels on first use, and load them: one library per source, CPU and torch.

Building is a process of its own, which runs this file, since torch's tools for
it change much in the process that imports them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
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


# A cache alone has threads that come at once do the same, and each that fails takes a minute.
_LOADING = threading.Lock()


def load() -> str | None:
    """Load the kernels into torch, building them if need be; why they are not, or None."""
    with _LOADING:
        return _load()


@cache
def _load() -> str | None:
    library = library_path()
    try:
        if not library.exists():
            _build(library)
        torch.ops.load_library(library)
    except (OSError, RuntimeError) as error:
        return str(error.__cause__ or error)  # torch tells the linker's reason as the cause
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
    """Build ``library``, unless another process does so meanwhile.

    Raises:
        OSError: if the cache cannot be written.
        RuntimeError: if it cannot be built; says why.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(library.with_suffix(".lock")):
        if library.exists():
            return
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
            raise RuntimeError(_reason(done.stderr) or f"the build ended with {done.returncode}")
        took_s = time.monotonic() - started
        library.with_suffix(".seconds").write_text(repr(took_s), encoding="ascii")
        _tell(f"built in {took_s:.0f} s, kept as {library}")


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

    # What is installed beside this Python, such as ninja, need not be on the PATH.
    own = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join((own, os.environ.get("PATH", os.defpath)))
    compiler = cpp_extension.get_cxx_compiler()
    if not cpp_extension.check_compiler_ok_for_platform(compiler):
        raise RuntimeError(f"there is no C++ compiler {compiler!r}; the variable CXX names another")
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
