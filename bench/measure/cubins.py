"""What the compiler made of the CUDA kernels: ``python -m bench.measure.cubins``.

For every architecture; read from the compiler's own report and from the machine code; no GPU is
needed. Leaves ``cubins.csv`` in --out, a row for each kernel, dtype and
architecture.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch

from bench.files import write_rows
from se_models.fused.cuda.compiler import SCALARS, Compiled, compile_now, missing

CUBINS = "cubins.csv"
OUT = Path("results/fused")
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
# Characters of what the compiler said, in an error.
_SHOWN = 300
# More would leave fewer than four blocks of 256 threads to a multiprocessor's 65,536 registers.
MOST_REGISTERS = 64
# How PTX begins, with the third part of the version too, which NVRTC itself does not tell.
_VERSION = r"Cuda compilation tools, release [\d.]+, V([\d.]+)"
# What ptxas calls where 64 bits are divided, for the quotient or for the remainder.
_DIVISION = re.compile(r"__cuda_sm20_(?:div|rem)_[su]64")


@dataclass(frozen=True)
class Resources:
    """Of one kernel: what a thread and a block take, and how its memory is accessed.

    Attributes:
        spill_bytes: stored and loaded by each thread for lack of registers.
        local_accesses: instructions that reach for a thread's own memory.
        wide_loads, wide_stores: instructions that take sixteen bytes a thread.
        divides_64_bits: whether it calls a division of 64 bits.
        nvrtc: the version of the compiler; another may make other machine code of it.
    """

    architecture: str
    dtype: str
    kernel: str
    registers: int
    shared_bytes: int
    spill_bytes: int
    local_accesses: int
    wide_loads: int
    wide_stores: int
    divides_64_bits: bool
    nvrtc: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile everything; leave ``cubins.csv`` in --out."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.cubins",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    options = parser.parse_args(arguments)
    reason = missing()
    if reason is not None:
        raise SystemExit(f"nothing can be compiled: {reason}")
    rows: list[dict[str, object]] = []
    for architecture, dtype in product(ARCHITECTURES, SCALARS):
        print(f"{architecture}, {dtype}", flush=True)
        compiled = compile_now(dtype, architecture)
        rows += map(asdict, resources(compiled, architecture, dtype))
    write_rows(options.out / CUBINS, rows)
    print(options.out / CUBINS)


def resources(compiled: Compiled, architecture: str, dtype: torch.dtype) -> Iterator[Resources]:
    """Of every kernel, in the order of their names in the source."""
    nvrtc = _said(_VERSION, compiled.ptx)
    reported = _reported(compiled.log)
    code = _machine_code(compiled.cubin)
    for kernel, name in compiled.names.items():
        report, text = reported[name], code[name]
        yield Resources(
            architecture=architecture,
            dtype=str(dtype).removeprefix("torch."),
            kernel=kernel,
            registers=_number(r"Used (\d+) registers", report),
            shared_bytes=_number(r"(\d+) bytes smem", report, unsaid=0),
            spill_bytes=_number(r"(\d+) bytes spill stores", report)
            + _number(r"(\d+) bytes spill loads", report),
            local_accesses=len(re.findall(r"\b(?:LDL|STL)\b", text)),
            wide_loads=len(re.findall(r"\bLDG\.E(?:\.\w+)*\.128\b", text)),
            wide_stores=len(re.findall(r"\bSTG\.E(?:\.\w+)*\.128\b", text)),
            divides_64_bits=_DIVISION.search(text) is not None,
            nvrtc=nvrtc,
        )


def _reported(log: str) -> dict[str, str]:
    """What ptxas says of each entry, by its name in the cubin."""
    parts = re.split(r"Compiling entry function '(\w+)'", log)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _machine_code(cubin: bytes) -> dict[str, str]:
    """The instructions of each kernel, as the disassembler of the triton wheel prints them.

    With the functions that it calls, by their names, which cuobjdump does not tell.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run(
            [_disassembler(), "-c", file.name],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    parts = re.split(r"\.section\s+\.text\.(\w+),", done.stdout)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _disassembler() -> str:
    """The path of nvdisasm.

    Raises:
        OSError: if triton, which brings it, is not installed.
    """
    found = importlib.util.find_spec("triton")
    if found is None or found.origin is None:
        raise OSError("nvdisasm comes with the package triton, which is not installed")
    return str(Path(found.origin).parent / "backends/nvidia/bin/nvdisasm")


def _number(pattern: str, report: str, unsaid: int | None = None) -> int:
    """What the compiler reports; ``unsaid`` is what it means by leaving it out, if anything."""
    if unsaid is not None and re.search(pattern, report) is None:
        return unsaid
    return int(_said(pattern, report))


def _said(pattern: str, report: str) -> str:
    """The group of a pattern in what the compiler says.

    Raises:
        ValueError: if it says nothing, as another version of it might: silence is no 0.
    """
    found = re.search(pattern, report)
    if found is None:
        start = report.strip()[:_SHOWN]
        raise ValueError(f"the compiler's report must have {pattern!r}, got {start!r}")
    return found[1]


if __name__ == "__main__":
    main()
