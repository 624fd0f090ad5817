"""NVIDIA's own bindings load all kernels and launch one, on a stand-in for the driver below."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.documents.sources import ROOT
from se_models.fused.cuda.compiler import SCALARS, compiled
from se_models.fused.cuda.launch import THREADS
from tests.se_models.fused.cuda.emulator import COMPILER, HERE
from tests.se_models.fused.cuda.nvrtc import needs_nvrtc
from tests.timing_out import hanging

# Some calls of the bindings wait for ever where there is no driver.
pytestmark = [pytest.mark.kernels, hanging(120), needs_nvrtc]

STREAM, REFUSED = 2**40 + 77, 13
BYTES = {"u64": 8, "u32": 4}

# In a process of its own, which alone finds the stand-in. Nothing may be compiled there: NVRTC,
# too, would find it, and crash.
_LAUNCHED = f"""
from contextlib import nullcontext
from types import SimpleNamespace
import torch
from se_models.fused.cuda import compiler
from se_models.fused.cuda.driver import Driver
from se_models.fused.cuda.launch import Launch, LaunchError

class OnTheFirst(torch.Tensor):
    device = torch.device("cuda", 0)

compiler.compile_now = None
torch.cuda.device = lambda _device: nullcontext()
torch.cuda.current_device = lambda: 0
torch.cuda.get_device_capability = lambda _device: (9, 0)
driver = Driver()
x = torch.zeros(9, dtype=torch.float16).as_subclass(OnTheFirst)
for stream in ({STREAM}, {REFUSED}):
    torch.cuda.current_stream = lambda: SimpleNamespace(cuda_stream=stream)
    try:
        driver.launch(Launch("tail_run", x.dtype, (70_000, 5), (x, None, 9, -1)))
        print(x.data_ptr())
    except LaunchError as error:
        print(error)
"""


def test_a_launch_goes_through_the_bindings(tmp_path: Path) -> None:
    """Function, grid, threads, stream and arguments as they were given; a refusal has its name."""
    kept = {dtype: compiled(dtype, "sm_90", tmp_path / "se_models") for dtype in SCALARS}
    made = kept[torch.float16]
    sizes = ",".join(str(BYTES[each]) for each in made.parameters("tail_run"))
    subprocess.run(
        [COMPILER, "-std=c++17", "-shared", "-fPIC", f"-DSIZES={sizes}", f"-DREFUSED={REFUSED}",
         str(HERE / "libcuda.cpp"), "-o", str(tmp_path / "libcuda.so.1"), "-ldl"],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LAUNCHED],
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
        env={
            **os.environ,
            "LD_LIBRARY_PATH": f"{tmp_path}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":"),
            "XDG_CACHE_HOME": str(tmp_path),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    launched, address, refused = done.stdout.splitlines()
    assert launched.split() == [
        made.names["tail_run"],
        *map(str, (70_000, 5, 1, THREADS, 1, 1, 0, STREAM)),
        *map(str, (int(address), 0, 9, 2**32 - 1)),
    ]
    assert refused == "tail_run: CUDA_ERROR_INVALID_VALUE"
