"""The kernels under AddressSanitizer, UBSan and ThreadSanitizer; planted bugs are caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from se_models.fused.cuda.compiler import FOLDER
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.launch import Launch
from se_models.fused.cuda.maps import DTYPES
from tests.se_models.fused.cuda.emulator import Recorder, Sanitizer, arrivals, run
from tests.se_models.fused.maps import (
    LAYOUTS,
    TOLERANCE,
    drawn,
    exact_tail,
    off,
    tail_arguments,
    unaligned,
)

pytestmark = [pytest.mark.kernels, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Work:
    """Launches of all operators, and how far from float64 their results are once they ran."""

    launches: list[Launch]
    errors: Callable[[], list[float]]


def work(shapes: list[tuple[int, int, int, int]], dtype: torch.dtype) -> Work:
    """Every operator on maps of both layouts, aligned and not."""
    torch.manual_seed(0)
    recorder = Recorder()
    ours = Operators(recorder, arrivals)
    checks: list[tuple[torch.Tensor, torch.Tensor]] = []
    for shape in shapes:
        for layout in LAYOUTS:
            for moved in (torch.clone, unaligned):
                x = moved(drawn(*shape, dtype=dtype, layout=layout))
                arguments = tail_arguments(shape, dtype, "sgbh", layout)
                exact = exact_tail(x, *arguments)
                gate = arguments[1]
                assert gate is not None
                scaled = x.double()[:, :, ::2, ::2] * gate.double()[:, :, None, None]
                checks.append((ours.scale(x, gate, 2), scaled))
                checks.append((ours.squeeze(x, True), x.double().clamp_min(0).mean((2, 3))))
                plain = x.clone()
                ours.tail_(plain, arguments[0], None, None, None)
                checks.append((plain, exact_tail(x, arguments[0], None, None, None)))
                checks.append((ours.tail_squeeze_(x, *arguments), exact.mean(dim=(2, 3))))
                checks.append((x, exact))
    checks += [excitation(ours, batch, dtype) for batch in (1, 4)]

    def errors() -> list[float]:
        return [off(found, exact) for found, exact in checks]

    return Work(recorder.launches, errors)


def excitation(
    ours: Operators, batch: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """By two blocks that meet."""
    squeezed, weight1 = drawn(batch, 19), drawn(11, 19, dtype=dtype)
    weight2 = drawn(19, 11, dtype=dtype)
    hidden = (squeezed.double() @ weight1.double().T).clamp_min(0)
    gate = ours.excite(squeezed, weight1, None, weight2, None, None)
    return gate, torch.sigmoid(hidden @ weight2.double().T)


SHAPES = {
    "address": [(2, 24, 5, 7), (1, 3, 41, 27), (2, 5, 1, 1)],
    "thread": [(1, 9, 4, 5), (1, 2, 33, 33)],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_nothing(sanitizer: Any, dtype: torch.dtype) -> None:
    """Nothing outside an allocation, misaligned, or in a race; and the results are right."""
    made = work(SHAPES[sanitizer], dtype)
    ran = run(made.launches, sanitizer, schedule="random")
    assert (ran.code, ran.said) == (0, "")
    limit = max(TOLERANCE[dtype], 1e-5)
    assert all(error <= limit for error in made.errors())  # NaN is not


@dataclass(frozen=True)
class Bug:
    """A mistake in a copy of the source, and what finds it.

    Attributes:
        told: part of what the sanitizer, or the emulator, says.
    """

    name: str
    file: str
    right: str
    wrong: str
    sanitizer: Sanitizer
    told: str


BUGS = [
    Bug("a read past the end", "teams.cuh", "kWide + rank; i < count", "kWide + rank; i <= count",
        "address", "heap-buffer-overflow"),
    Bug("a misaligned access of sixteen bytes", "teams.cuh",
        "head = min(count, (kAccessBytes - past) % kAccessBytes / "
        "static_cast<int>(sizeof(scalar_t)));",
        "head = past - past;", "address", "misaligned address"),
    Bug("shared memory that is too small", "teams.cuh", "__shared__ float of_warp[kWarps];",
        "__shared__ float of_warp[kWarps - 1];", "address", "out of bounds for type"),
    Bug("a missing barrier", "teams.cuh", "    of_warp[warp_of_block()] = value;\n  }\n"
        "  __syncthreads();", "    of_warp[warp_of_block()] = value;\n  }\n",
        "thread", "data race"),
    Bug("a divergent barrier", "squeeze.cuh", "if (plane >= planes) {",
        "if (plane >= planes || (block && threadIdx.x == 5)) {", "address",
        "a lane of the mask has ended"),
    Bug("a barrier that a warp leaves out", "teams.cuh",
        "  value = sum_of_lanes(value);\n  if (lane_of_warp() == 0) {",
        "  value = sum_of_lanes(value);\n  if (warp_of_block() == 3) {\n    return value;\n  }\n"
        "  if (lane_of_warp() == 0) {", "address", "divergent barrier"),
    Bug("a shuffle whose mask leaves half of the lanes out", "device.cuh",
        "kAllLanes = 0xffffffffu", "kAllLanes = 0x0000ffffu", "address",
        "a lane reads one that the mask leaves out"),
    Bug("a shuffle whose mask leaves a lane out", "device.cuh", "kAllLanes = 0xffffffffu",
        "kAllLanes = 0xfffffffeu", "address", "a lane shuffles that its mask leaves out"),
    Bug("a missing barrier where pixels are added up", "teams.cuh",
        "      }\n    }\n    __syncthreads();", "      }\n    }\n", "thread", "data race"),
    Bug("a missing barrier between the two layers", "excite.cuh",
        "unit, unit < hidden);\n  __syncthreads();", "unit, unit < hidden);\n", "thread",
        "data race"),
    Bug("no fence ahead of the arrival", "excite.cuh",
        "    __threadfence();  // what all", "    // what all", "thread", "data race"),
    Bug("no fence behind the arrival", "excite.cuh",
        "    __threadfence();  // and what", "    // and what", "thread", "data race"),
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, tmp_path: Path) -> None:
    """By the sanitizer that is there for it; the source without it passes the same launches."""
    source = tmp_path / "source"
    shutil.copytree(FOLDER, source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = source / bug.file
    text = file.read_text()
    assert text.count(bug.right) == 1
    file.write_text(text.replace(bug.right, bug.wrong))
    made = work(SHAPES[bug.sanitizer], torch.float32)
    ran = run(made.launches, bug.sanitizer, source=source)
    assert ran.code != 0
    assert bug.told in ran.said


def test_shared_memory_starts_as_no_number(tmp_path: Path) -> None:
    """So a barrier that is missing shows in the results, whoever goes first."""
    source = tmp_path / "source"
    shutil.copytree(FOLDER, source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = source / "teams.cuh"
    barrier = next(bug for bug in BUGS if bug.name == "a missing barrier")
    file.write_text(file.read_text().replace(barrier.right, barrier.wrong))
    made = work(SHAPES["address"], torch.float32)
    run(made.launches, "address", source=source)
    assert any(error != error for error in made.errors())
