"""What must not be in machine code is found where it was put on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from bench.measure import cubins
from bench.measure.cubins import ARCHITECTURES, Resources, resources
from se_models.fused.cuda import compiler
from se_models.fused.cuda.compiler import Compiled, compile_now
from tests.se_models.fused.cuda.nvrtc import needs_nvrtc
from tests.timing_out import hanging

pytestmark = [
    pytest.mark.kernels,
    hanging(180),
    needs_nvrtc,
]

Toy = Callable[..., Resources]

COPY = """
__global__ void copy(const float4* __restrict__ from, float4* to) {
  to[threadIdx.x] = from[threadIdx.x];
}
"""
COPY_SCALARS = """
__global__ void copy(const float* from, float* to) {
  for (int i = 0; i < 4; ++i) {
    to[4 * threadIdx.x + i] = from[4 * threadIdx.x + i];
  }
}
"""
# A place that is known only when it runs: no register has one.
INDEXED = """
__global__ void indexed(const int* places, float* to) {
  float own[32];
  for (int i = 0; i < 32; ++i) {
    own[places[i] & 31] = to[i];
  }
  for (int i = 0; i < 32; ++i) {
    to[i] = own[places[i + 32] & 31];
  }
}
"""
# All values are read before the first is used, so that all must be kept.
HOARDING = """
__global__ void hoarding(const float* from, float* to) {
  float kept[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    kept[i] = static_cast<const volatile float*>(from)[i * blockDim.x];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    to[i * 7 + threadIdx.x] = kept[63 - i] * kept[i];
  }
}
"""
DIVIDING = """
__global__ void dividing(const TYPE* from, TYPE* to) { to[0] = from[0] OPERATOR from[1]; }
"""
SHARING = """
__global__ void sharing(float* to) {
  __shared__ float all[100];
  all[threadIdx.x] = to[threadIdx.x];
  __syncthreads();
  to[threadIdx.x] = all[99 - threadIdx.x];
}
"""


@pytest.fixture(params=ARCHITECTURES)
def toy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Compiles a source of one kernel, and says what became of it."""

    def compiled(name: str, text: str, options: Sequence[str] = ()) -> Resources:
        source = tmp_path / "toy.cu"
        source.write_text(text)
        monkeypatch.setattr(compiler, "SOURCE", source)
        monkeypatch.setattr(compiler, "kernels", lambda _dtype: [name])
        made = compile_now(torch.float32, request.param, options)
        (found,) = resources(made, request.param, torch.float32)
        return found

    return compiled


def test_a_kernel_without_fault_has_none(toy: Toy) -> None:
    """And its accesses of sixteen bytes are counted."""
    found = toy("copy", COPY)
    assert (found.wide_loads, found.wide_stores) == (1, 1)
    assert (found.spill_bytes, found.local_accesses, found.shared_bytes % 1024) == (0, 0, 0)
    assert not found.divides_64_bits


def test_values_that_are_taken_one_by_one_are_not_wide(toy: Toy) -> None:
    """However many lie together."""
    found = toy("copy", COPY_SCALARS)
    assert (found.wide_loads, found.wide_stores) == (0, 0)


def test_registers_that_do_not_suffice_are_spilt(toy: Toy) -> None:
    """Into local memory, which is accessed too; with enough of them nothing is."""
    few = toy("hoarding", HOARDING, ["--maxrregcount=32"])
    assert few.registers <= 32
    assert few.spill_bytes > 0
    assert few.local_accesses > 0
    enough = toy("hoarding", HOARDING)
    assert enough.registers > 32
    assert (enough.spill_bytes, enough.local_accesses) == (0, 0)


def test_an_array_in_local_memory_is_found(toy: Toy) -> None:
    """Which is no spill."""
    found = toy("indexed", INDEXED)
    assert found.spill_bytes == 0
    assert found.local_accesses > 0


@pytest.mark.parametrize("operator", ["/", "%"])
def test_a_division_of_64_bits_is_found(toy: Toy, operator: str) -> None:
    """With a sign or without; one of 32 bits is none."""
    for bits_64 in ("long long", "unsigned long long"):
        text = DIVIDING.replace("TYPE", bits_64).replace("OPERATOR", operator)
        assert toy("dividing", text).divides_64_bits, bits_64
    text = DIVIDING.replace("TYPE", "int").replace("OPERATOR", operator)
    assert not toy("dividing", text).divides_64_bits


def test_a_report_that_says_nothing_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another version's may, which has other words."""
    version = "// Cuda compilation tools, release 13.0, V13.0.88"
    log = "Compiling entry function 'lowered'\nUsed all"
    monkeypatch.setattr(cubins, "_machine_code", lambda _cubin: {"lowered": ""})
    for ptx, missing in ((version, "registers"), ("", "release")):
        made = Compiled(b"", ptx, {"copy": "lowered"}, log)
        with pytest.raises(ValueError, match=f"the compiler's report must have .*{missing}"):
            list(resources(made, "sm_90", torch.float32))


def test_shared_memory_is_counted(toy: Toy) -> None:
    """Beside what newer architectures keep for themselves."""
    assert toy("sharing", SHARING).shared_bytes % 1024 == 400
