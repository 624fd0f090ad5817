"""Every kernel compiles for every architecture, and what became of it is as it should be."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.documents.sources import CUBINS, ROOT
from bench.measure.cubins import ARCHITECTURES, MOST_REGISTERS, Resources, resources
from se_models.fused.cuda import compiler
from se_models.fused.cuda.compiler import SCALARS, compile_now, compiled, kernels
from se_models.fused.cuda.launch import LaunchError
from tests.se_models.fused.cuda import emulator
from tests.se_models.fused.cuda.nvrtc import needs_nvrtc
from tests.timing_out import hanging

# Some calls of the bindings wait for ever where there is no driver.
pytestmark = [
    pytest.mark.kernels,
    hanging(180),
    needs_nvrtc,
]

DTYPES = list(SCALARS)
# Those whose time is that of their memory, in the instances that are for aligned maps. The narrow
# instances of pixels are for those that are not. Of excite it is the first layer's weights.
BOUND_BY_MEMORY = ("excite", "squeeze_planes", "tail_planes", "scale_planes", "tail_run")
_LOADS_ONLY = ("excite", "squeeze_planes", "squeeze_pixels")


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, torch.dtype], list[Resources]]:
    """What each architecture and dtype made of the kernels."""
    return {
        (architecture, dtype): list(
            resources(compile_now(dtype, architecture), architecture, dtype)
        )
        for architecture in ARCHITECTURES
        for dtype in DTYPES
    }


def test_the_compiler_is_there() -> None:
    """With torch's CUDA, and CUDA's headers too."""
    assert compiler.missing() is None


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_registers_suffice(
    architecture: str, dtype: torch.dtype, found: dict[tuple[str, torch.dtype], list[Resources]]
) -> None:
    """Nothing is spilt, nothing lies in local memory, and four blocks fit a multiprocessor."""
    made = found[architecture, dtype]
    assert [each.kernel for each in made] == kernels(dtype)
    for each in made:
        assert 0 < each.registers <= MOST_REGISTERS, each
        assert (each.spill_bytes, each.local_accesses) == (0, 0), each
        assert not each.divides_64_bits, each


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_memory_is_accessed_sixteen_bytes_at_a_time(
    architecture: str, dtype: torch.dtype, found: dict[tuple[str, torch.dtype], list[Resources]]
) -> None:
    """By every kernel that memory bounds, read and written."""
    wide = f"<{16 // dtype.itemsize}>"
    checked = 0
    for each in found[architecture, dtype]:
        name = each.kernel.partition("<")[0]
        if name in BOUND_BY_MEMORY or ("pixels" in name and each.kernel.endswith(wide)):
            checked += 1
            assert each.wide_loads > 0, each
            assert (each.wide_stores > 0) == (name not in _LOADS_ONLY), each
    assert checked == 2 + 2 + 4 + 2 + 1 + 4


def test_what_is_committed_is_what_is_compiled(
    found: dict[tuple[str, torch.dtype], list[Resources]],
) -> None:
    """Every column of every kernel; another version of the compiler may do it otherwise."""
    committed = pd.read_csv(ROOT / CUBINS)
    made = pd.DataFrame([each for kernels_ in found.values() for each in kernels_])
    here, there = made["nvrtc"].unique(), committed["nvrtc"].unique()
    if list(here) != list(there):
        pytest.skip(f"{CUBINS.name} is of NVRTC {', '.join(there)}, here is {', '.join(here)}")
    pd.testing.assert_frame_equal(made, committed)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_parameters_are_those_of_the_source(dtype: torch.dtype) -> None:
    """What PTX says of them is what C++ says of the same kernels in the emulator."""
    made = compile_now(dtype, "sm_80")
    for kernel in kernels(dtype):
        assert made.parameters(kernel) == emulator.parameters(dtype, kernel)


def test_what_was_compiled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By source, architecture and dtype; the second time nothing is compiled."""
    first = compiled(torch.float32, "sm_80", tmp_path)
    monkeypatch.setattr(compiler, "compile_now", None)
    again = compiled(torch.float32, "sm_80", tmp_path)
    assert again == first
    assert first.cubin.startswith(b"\x7fELF")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(TypeError):
        compiled(torch.float32, "sm_90", tmp_path)
    monkeypatch.setitem(compiler.SCALARS, torch.float32, "float ")
    with pytest.raises(TypeError):
        compiled(torch.float32, "sm_80", tmp_path)


def test_a_file_that_is_damaged_is_compiled_again(tmp_path: Path) -> None:
    """Whether nothing in it is whole or only a part is missing, and then it is whole."""
    first = compiled(torch.float32, "sm_80", tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\xff" * 99 + whole[99:]):
        file.write_bytes(damaged)
        made = compiled(torch.float32, "sm_80", tmp_path)
        assert made.cubin == first.cubin
        assert compiler._read(file) == made


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """What was compiled is there nonetheless."""
    (tmp_path / "file").touch()
    made = compiled(torch.float32, "sm_80", tmp_path / "file" / "folder")
    assert made.cubin.startswith(b"\x7fELF")


def test_what_is_kept_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each of the sources, the compiler's version and its options; not by where they lie."""
    copied = tmp_path / "copied"
    shutil.copytree(compiler.FOLDER, copied)
    digests = [compiler._digest(torch.float32, "sm_80")]
    monkeypatch.setattr(compiler, "FOLDER", copied)
    monkeypatch.setattr(compiler, "SOURCE", copied / "kernels.cu")
    assert compiler._digest(torch.float32, "sm_80") == digests[0]
    sources = sorted(copied.glob("*.cu*"))
    for source in sources:
        source.write_text(source.read_text() + "\n")
        digests.append(compiler._digest(torch.float32, "sm_80"))
    monkeypatch.setattr(compiler, "versions", lambda: ("NVRTC 99.0",))
    digests.append(compiler._digest(torch.float32, "sm_80"))
    monkeypatch.setattr(compiler, "_options", lambda *_: ("--use_fast_math",))
    digests.append(compiler._digest(torch.float32, "sm_80"))
    assert len(set(digests)) == len(sources) + 3


@pytest.mark.parametrize("part", ["nvrtc", "runtime"])
def test_a_patch_release_of_the_compiler_or_its_headers_is_told_apart(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the version of the wheel that it comes in: NVRTC tells two numbers of three."""
    before = compiler._digest(torch.float32, "sm_80")
    version = metadata.version

    def patched(wheel: str) -> str:
        return version(wheel) + (".1" if f"nvidia-cuda-{part}" in wheel else "")

    monkeypatch.setattr(metadata, "version", patched)
    assert any(each.startswith(f"nvidia-cuda-{part}") for each in compiler.versions())
    assert compiler._digest(torch.float32, "sm_80") != before


def test_another_version_of_nvrtc_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no wheel tells it, too."""
    from cuda.bindings import nvrtc

    before = compiler._digest(torch.float32, "sm_80")
    status, *_ = nvrtc.nvrtcVersion()
    monkeypatch.setattr(nvrtc, "nvrtcVersion", lambda: (status, 99, 0))
    assert compiler.versions()[0] == "NVRTC 99.0"
    assert compiler._digest(torch.float32, "sm_80") != before


def test_what_does_not_compile_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiler's first error, and nothing is kept."""
    broken = tmp_path / "kernels.cu"
    broken.write_text("no kernel\n")
    monkeypatch.setattr(compiler, "SOURCE", broken)
    with pytest.raises(LaunchError, match=r"kernels.cu for sm_80 and torch.float32: .*error"):
        compiled(torch.float32, "sm_80", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
