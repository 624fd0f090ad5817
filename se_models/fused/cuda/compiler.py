"""The kernels compiled by NVRTC, for an architecture and what maps hold; kept on disk.

NVRTC compiles without a GPU and without a driver. It comes with torch's CUDA
wheels, and since torch 2.10 so do NVIDIA's bindings for it; where torch has no
CUDA neither is there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import platformdirs
import torch

from se_models.fused.cuda.launch import LaunchError

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "kernels.cu"
SCALARS = {
    torch.float32: "float",
    torch.float16: "__half",
    torch.bfloat16: "__nv_bfloat16",
}
_BOOLS = ("false", "true")
# The wheels of NVRTC and of CUDA's headers. Of a newer toolkit they do not have it in their names.
_WHEELS = tuple(
    f"nvidia-cuda-{part}{toolkit}"
    for part in ("nvrtc", "runtime")
    for toolkit in ("", "-cu13", "-cu12")
)


@dataclass(frozen=True)
class Compiled:
    """The kernels for one architecture and dtype.

    Attributes:
        cubin: what a driver loads.
        ptx: what it was made from; the types of parameters are read there.
        names: of each kernel in the cubin, by the name that it has in the source.
        log: what the compiler said, registers and spills of each kernel included.
    """

    cubin: bytes
    ptx: str
    names: Mapping[str, str]
    log: str

    def parameters(self, kernel: str) -> tuple[str, ...]:
        """The types of a kernel's parameters, in PTX's words: ``u64`` is a pointer."""
        return self._parameters[self.names[kernel]]

    @cached_property
    def _parameters(self) -> dict[str, tuple[str, ...]]:
        entries = re.findall(r"\.entry\s+(\w+)\s*\((.*?)\)", self.ptx, flags=re.DOTALL)
        return {name: tuple(re.findall(r"\.param\s+\.(\w+)", inside)) for name, inside in entries}


def kernels(dtype: torch.dtype) -> list[str]:
    """All instances of the kernels for maps of ``dtype``, as they are named in the source."""
    wide = 16 // dtype.itemsize
    widths = (1, wide)
    pixels = ("squeeze_pixels", "tail_pixels", "tail_pixels_means", "scale_pixels")
    planes = ("squeeze_planes", "scale_planes")
    return [
        *(f"excite<{images}>" for images in (1, 2)),
        *(f"{name}<{block}>" for name, block in product(planes, _BOOLS)),
        *(f"tail_planes<{block}, {means}>" for block, means in product(_BOOLS, _BOOLS)),
        *(f"{name}<{width}>" for name, width in product(pixels, widths)),
        "scale_strided_planes",
        "tail_run",
    ]


def missing() -> str | None:
    """Why nothing can be compiled here, or None."""
    if (
        importlib.util.find_spec("cuda") is None
        or importlib.util.find_spec("cuda.bindings") is None
    ):
        return f"the package cuda.bindings is not installed{_remedy(torch.version.cuda)}"
    if not headers().exists():
        return f"CUDA's headers are not installed: {headers()} is missing"
    return None


def _remedy(cuda: str | None) -> str:
    """For want of bindings, where torch has this version of CUDA: theirs must be of the same."""
    if cuda is None:
        return ", and this torch is built without CUDA"
    wanted = f"cuda-bindings=={cuda.partition('.')[0]}.*"
    return f": pip install '{wanted}', or 'se-bench[cuda]' for a torch that brings it"


def headers() -> Path:
    """The folder of CUDA's own headers, beside torch's other CUDA wheels."""
    found = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (found.submodule_search_locations or ())] if found else []
    folders = [path.parent for root in roots for path in root.glob("*/include/cuda_fp16.h")]
    return folders[0] if folders else Path("cuda_fp16.h")


def compiled(dtype: torch.dtype, architecture: str, folder: Path | None = None) -> Compiled:
    """The kernels for maps of ``dtype``, compiled unless they are found on disk.

    A folder that cannot be written costs every process a compilation, and no more.

    Args:
        dtype: one of `SCALARS`.
        architecture: such as ``sm_90``.
        folder: where compiled kernels are kept; by default in the user's cache.

    Raises:
        LaunchError: if the compiler refuses; says why.
    """
    folder = folder or platformdirs.user_cache_path("se_models")
    file = folder / f"cuda_{_digest(dtype, architecture)}.zip"
    kept = _read(file)
    if kept is not None:
        return kept
    made = compile_now(dtype, architecture)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _write(made, file)
    return made


def compile_now(dtype: torch.dtype, architecture: str, options: Sequence[str] = ()) -> Compiled:
    """Compile, whatever is on disk; ``options`` go to NVRTC behind its own."""
    from cuda.bindings import nvrtc

    names = kernels(dtype)
    program = _told(nvrtc.nvrtcCreateProgram(SOURCE.read_bytes(), b"kernels.cu", 0, [], []))
    try:
        for name in names:
            _told(nvrtc.nvrtcAddNameExpression(program, name.encode()))
        folders = (f"--include-path={FOLDER}", f"--include-path={headers()}")
        flags = (*_options(dtype, architecture), *folders, *options)
        chosen = [flag.encode() for flag in flags]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(chosen), chosen)
        log = _text(nvrtc, program, "ProgramLog")
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise LaunchError(f"{SOURCE.name} for {architecture} and {dtype}: {_first_error(log)}")
        lowered = {
            name: _told(nvrtc.nvrtcGetLoweredName(program, name.encode())).decode()
            for name in names
        }
        return Compiled(_bytes(nvrtc, program, "CUBIN"), _text(nvrtc, program, "PTX"), lowered, log)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _options(dtype: torch.dtype, architecture: str) -> tuple[str, ...]:
    """All but the folders of headers, which say where this is installed, not what is made."""
    return (
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        f"--define-macro=SE_SCALAR={SCALARS[dtype]}",
        "--ptxas-options=-v",
    )


def versions() -> tuple[str, ...]:
    """Of NVRTC, and of each wheel that it and CUDA's headers come in.

    NVRTC itself tells no patch release; where it comes in no wheel, none is known.

    Raises:
        ImportError: if there are no bindings for it.
        LaunchError: if it does not tell.
    """
    from cuda.bindings import nvrtc

    found = ["NVRTC " + ".".join(map(str, _told(nvrtc.nvrtcVersion())))]
    for wheel in _WHEELS:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{wheel} {metadata.version(wheel)}")
    return tuple(found)


def _digest(dtype: torch.dtype, architecture: str) -> str:
    """Of all that the compiler is given, and of the compiler and CUDA's headers."""
    sources = (SOURCE, *sorted(FOLDER.glob("*.cuh")))
    made_from = (
        *(source.read_text(encoding="utf-8") for source in sources),
        *versions(), *_options(dtype, architecture), *kernels(dtype),
    )  # fmt: skip
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]


def _write(made: Compiled, file: Path) -> None:
    """Whole or not at all, however many processes do so at once."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        draft = Path(folder, file.name)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("cubin", made.cubin)
            archive.writestr("ptx", made.ptx)
            archive.writestr("names", json.dumps(dict(made.names)))
            archive.writestr("log", made.log)
        draft.replace(file)


def _read(file: Path) -> Compiled | None:
    """What is kept, or None where there is nothing, or nothing whole."""
    try:
        with zipfile.ZipFile(file) as archive:
            return Compiled(
                archive.read("cubin"),
                archive.read("ptx").decode(),
                json.loads(archive.read("names")),
                archive.read("log").decode(),
            )
    # Damage shows in a dozen ways, by where it is; compiling again mends them all.
    except Exception:
        return None


def _told(answer: tuple[Any, ...]) -> Any:
    """The values behind a status that says success."""
    status, *values = answer
    if status.value:
        raise LaunchError(f"NVRTC: {status.name}")
    return values[0] if len(values) == 1 else tuple(values)


def _bytes(nvrtc: Any, program: Any, what: str) -> bytes:
    """What NVRTC hands out in two steps, its size first."""
    size = _told(getattr(nvrtc, f"nvrtcGet{what}Size")(program))
    buffer = bytearray(size)
    _told(getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return bytes(buffer)


def _text(nvrtc: Any, program: Any, what: str) -> str:
    return _bytes(nvrtc, program, what).rstrip(b"\0").decode()


def _first_error(log: str) -> str:
    return next((line for line in log.splitlines() if "error" in line), log.strip() or "no reason")
