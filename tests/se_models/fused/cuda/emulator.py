"""The CUDA kernels on the CPU: a backend that calls them, and programs under a sanitizer."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import platformdirs
import torch
from torch import Tensor

from se_models.fused.cuda.compiler import FOLDER, SCALARS, SOURCE, kernels
from se_models.fused.cuda.launch import Argument, Launch, LaunchError
from se_models.fused.cuda.packing import Packed

HERE = Path(__file__).parent
Schedule = Literal["ascending", "descending", "random"]
SCHEDULES: tuple[Schedule, ...] = ("ascending", "descending", "random")
Sanitizer = Literal["address", "thread"]
# Half precision as a type of C++ came with this version of g++.
COMPILER = os.environ.get("CXX", "g++")
_FLAGS = (
    "-std=c++17", "-O1", "-g", "-fno-strict-aliasing", "-ffp-contract=off", "-w",
    # Or the libraries of several dtypes would share one machine.
    "-fno-gnu-unique",
    # It has every jump to another stack end the process.
    "-U_FORTIFY_SOURCE",
)  # fmt: skip
_SANITIZED = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-fsanitize=thread",),
}
# What AddressSanitizer says of every program that changes contexts, whatever it does.
_ALWAYS_SAID = "fully support makecontext/swapcontext"


class Emulator:
    """A `Backend` for tensors on the CPU.

    Args:
        schedule: which threads and blocks go first.
        seed: of a random schedule, from 0 to 2**32 - 1; every launch takes the next.

    Attributes:
        launches: the names of what was launched.
    """

    def __init__(self, schedule: Schedule = "ascending", seed: int = 0) -> None:
        self._schedule = SCHEDULES.index(schedule)
        self._seed = seed
        self.launches: list[str] = []

    def launch(self, launch: Launch) -> None:
        library = _library(launch.dtype)
        seed = ctypes.c_uint32(self._seed + len(self.launches))  # past the last comes 0
        self.launches.append(launch.kernel)
        packed = Packed(launch, parameters(launch.dtype, launch.kernel))
        error = library.emulated_launch(
            launch.kernel.encode(), *launch.blocks, ctypes.c_void_p(packed.address),
            self._schedule, seed,
        )  # fmt: skip
        if error is not None:
            raise LaunchError(f"{launch.kernel}: {error.decode()}")


def arrivals(device: torch.device) -> Tensor:
    """Counters for an excitation, fewer than on a GPU."""
    return torch.zeros(2, dtype=torch.int32, device=device)


def parameters(dtype: torch.dtype, kernel: str) -> tuple[str, ...]:
    """The types of a kernel's parameters, in PTX's words."""
    found = _library(dtype).emulated_parameters(kernel.encode())
    if found is None:
        raise LaunchError(f"there is no kernel {kernel} for {dtype}")
    return tuple(found.decode().split(","))


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    path = _built(dtype, kernels(dtype), ("-shared", "-fPIC"))
    library = ctypes.CDLL(str(path))
    library.emulated_launch.restype = ctypes.c_char_p
    library.emulated_parameters.restype = ctypes.c_char_p
    return library


@dataclass
class Recorder:
    """A `Backend` that carries nothing out, but keeps all for a program of its own."""

    launches: list[Launch] = field(default_factory=list)

    def launch(self, launch: Launch) -> None:
        self.launches.append(launch)


@dataclass(frozen=True)
class Ran:
    """What came of a program.

    Attributes:
        code: with which it ended.
        said: on stderr.
        printed: the lines on stdout; of a program of launches the kernels that came to
            their end, in the order of the launches.
    """

    code: int
    said: str
    printed: tuple[str, ...]


def run(
    launches: Sequence[Launch],
    sanitizer: Sanitizer,
    *,
    schedule: Schedule = "ascending",
    seed: int = 0,
    source: Path = SOURCE.parent,
) -> Ran:
    """Carry launches out under a sanitizer, in a process of its own; tensors take the results.

    Args:
        launches: of one dtype.
        sanitizer: that watches.
        schedule: which threads and blocks go first.
        seed: of a random schedule; every launch takes the next.
        source: the folder of the kernels.
    """
    flags = ("-DEMULATED_PROGRAM", *_SANITIZED[sanitizer])
    launched = sorted({launch.kernel for launch in launches})
    program = _built(launches[0].dtype, launched, flags, source)
    storages = _storages(launches)
    with tempfile.TemporaryDirectory() as folder:
        given, left = Path(folder, "given"), Path(folder, "left")
        given.write_bytes(_encoded(launches, storages, SCHEDULES.index(schedule), seed))
        ran = ended([str(program), str(given), str(left)])
        if left.exists():
            _take(left.read_bytes(), storages)
    return ran


def ended(command: Sequence[str]) -> Ran:
    """What comes of a program that was compiled for a sanitizer."""
    # Sanitizers need their shadow where a randomised layout may put something else.
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    done = subprocess.run(
        [*fixed, *command], capture_output=True, text=True, check=False, timeout=300,
        env={
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=0",
            "TSAN_OPTIONS": "exitcode=66 halt_on_error=1",
        },
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if _ALWAYS_SAID not in line]
    return Ran(done.returncode, "\n".join(said), tuple(done.stdout.splitlines()))


def compiled(source: Path, program: Path, sanitizer: Sanitizer, flags: Sequence[str]) -> None:
    """Compile a program of the tests' own on the emulator."""
    command = [COMPILER, *_FLAGS, *_SANITIZED[sanitizer], *flags, f"-I{HERE}"]
    subprocess.run([*command, str(source), "-o", str(program), "-pthread"], check=True)


def _storages(launches: Sequence[Launch]) -> dict[int, Tensor]:
    """The storages of all tensors, as bytes, by their address."""
    found: dict[int, Tensor] = {}
    for launch in launches:
        for argument in launch.arguments:
            if isinstance(argument, Tensor):
                storage = argument.untyped_storage()
                view = torch.empty(0, dtype=torch.uint8)
                found[storage.data_ptr()] = view.set_(storage, 0, (storage.nbytes(),), (1,))
    return found


def _encoded(
    launches: Sequence[Launch], storages: Mapping[int, Tensor], schedule: int, seed: int
) -> bytes:
    places = {address: place for place, address in enumerate(storages)}
    parts = [struct.pack("=iIi", schedule, seed, len(storages))]
    for storage in storages.values():
        parts += [struct.pack("=q", storage.numel()), storage.numpy().tobytes()]
    parts.append(struct.pack("=i", len(launches)))
    for launch in launches:
        name = launch.kernel.encode()
        parts += [struct.pack("=i", len(name)), name, struct.pack("=II", *launch.blocks)]
        parts.append(struct.pack("=i", len(launch.arguments)))
        parts += [_argument(argument, places) for argument in launch.arguments]
    return b"".join(parts)


def _argument(argument: Argument, places: Mapping[int, int]) -> bytes:
    if isinstance(argument, Tensor):
        start = argument.untyped_storage().data_ptr()
        return struct.pack("=iq", places[start], argument.data_ptr() - start)
    return struct.pack("=iq", -1, argument or 0)


def _take(left: bytes, storages: Mapping[int, Tensor]) -> None:
    offset = 0
    for storage in storages.values():
        count = storage.numel()
        if count:
            storage.copy_(
                torch.frombuffer(bytearray(left[offset : offset + count]), dtype=torch.uint8)
            )
        offset += count


def _built(
    dtype: torch.dtype, names: Sequence[str], flags: Sequence[str], source: Path = FOLDER
) -> Path:
    """These kernels for a dtype, compiled unless they were before."""
    entries = "".join(f"ENTRY({name})\n" for name in names)
    flags = (*_FLAGS, *flags, f"-DSE_SCALAR={SCALARS[dtype]}")
    sources = (*sorted(source.glob("*.cu*")), *sorted(HERE.glob("*.h")), HERE / "host.cpp")
    made_from = (*(each.read_text() for each in sources), entries, *flags, COMPILER)
    name = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("se_models") / "emulated"
    built = folder / name
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            Path(draft, "entries.h").write_text(entries)
            subprocess.run(
                [COMPILER, *flags, f"-I{source}", f"-I{HERE}", '-DKERNELS="entries.h"',
                 f"-I{draft}", str(HERE / "host.cpp"), "-o", str(Path(draft, name)), "-pthread"],
                check=True,
            )  # fmt: skip
            Path(draft, name).replace(built)
    return built
