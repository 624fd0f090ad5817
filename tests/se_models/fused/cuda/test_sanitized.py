"""The kernels under AddressSanitizer, UBSan and ThreadSanitizer; planted bugs are caught."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from se_models.fused.cuda.compiler import FOLDER
from se_models.fused.cuda.maps import DTYPES
from tests.se_models.fused.cuda.emulator import SCHEDULES, Sanitizer, Schedule, run
from tests.se_models.fused.cuda.work import Work, cases, every_case, work
from tests.se_models.fused.maps import TOLERANCE, off

pytestmark = [pytest.mark.kernels, pytest.mark.timeout(400)]


# Planes for a warp and for a block, channels for wide accesses and for narrow ones, one pixel.
# Under ThreadSanitizer each block takes a tenth of a second.
SHAPES: dict[Sanitizer, list[tuple[int, int, int, int]]] = {
    "address": [(2, 24, 5, 7), (1, 3, 41, 27), (2, 5, 1, 1)],
    "thread": [(1, 16, 2, 3), (1, 1, 33, 33)],
}


def work_for(sanitizer: Sanitizer, dtype: torch.dtype) -> Work:
    """What it is given; where an operand lies makes no race."""
    return work(SHAPES[sanitizer], dtype, odd_operands=sanitizer == "address")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_nothing(
    sanitizer: Sanitizer, dtype: torch.dtype, schedule: Schedule, seed: int
) -> None:
    """Nothing outside an allocation, misaligned, or in a race; and the results are right.

    Whatever each instance may be given was given to it.
    """
    made = work_for(sanitizer, dtype)
    ran = run(made.launches, sanitizer, schedule=schedule, seed=seed)
    assert (ran.code, ran.said) == (0, "")
    for found, exact in made.checks:
        assert off(found, exact) <= max(TOLERANCE[found.dtype], 1e-5)  # NaN is not
    assert cases(made.launches, ran.printed) == every_case(dtype)


@dataclass(frozen=True)
class Bug:
    """A mistake in a copy of the source, and what finds it.

    Attributes:
        kernels: how those are named that run into it.
        told: part of what the sanitizer, or the emulator, says.
    """

    name: str
    file: str
    right: str
    wrong: str
    kernels: str
    sanitizer: Sanitizer
    told: str


BUGS = [
    Bug("a read past the end", "teams.cuh", "kWide + rank; i < count", "kWide + rank; i <= count",
        "squeeze_planes", "address", "heap-buffer-overflow"),
    Bug("a read past the last image", "excite.cuh", "min(first + n, batch - 1)", "first + n",
        "excite", "address", "heap-buffer-overflow"),
    Bug("a misaligned access of sixteen bytes", "teams.cuh",
        "head = min(count, (kAccessBytes - past) % kAccessBytes / "
        "static_cast<int>(sizeof(scalar_t)));",
        "head = past - past;", "squeeze_planes", "address", "misaligned address"),
    Bug("shared memory that is too small", "teams.cuh", "__shared__ float of_warp[kWarps];",
        "__shared__ float of_warp[kWarps - 1];", "squeeze_planes", "address",
        "out of bounds for type"),
    Bug("a missing barrier", "teams.cuh", "    of_warp[warp_of_block()] = value;\n  }\n"
        "  __syncthreads();", "    of_warp[warp_of_block()] = value;\n  }\n",
        "squeeze_planes", "thread", "data race"),
    Bug("a divergent barrier", "squeeze.cuh", "if (plane >= planes) {",
        "if (plane >= planes || (block && threadIdx.x == 5)) {", "squeeze_planes", "address",
        "a lane of the mask has ended"),
    Bug("a barrier that a warp leaves out", "teams.cuh",
        "  value = sum_of_lanes(value);\n  if (lane_of_warp() == 0) {",
        "  value = sum_of_lanes(value);\n  if (warp_of_block() == 3) {\n    return value;\n  }\n"
        "  if (lane_of_warp() == 0) {", "squeeze_planes", "address", "divergent barrier"),
    Bug("a shuffle whose mask leaves half of the lanes out", "device.cuh",
        "kAllLanes = 0xffffffffu", "kAllLanes = 0x0000ffffu", "squeeze_planes", "address",
        "a lane reads one that the mask leaves out"),
    Bug("a shuffle whose mask leaves a lane out", "device.cuh", "kAllLanes = 0xffffffffu",
        "kAllLanes = 0xfffffffeu", "squeeze_planes", "address",
        "a lane shuffles that its mask leaves out"),
    Bug("a missing barrier where pixels are added up", "teams.cuh",
        "      }\n    }\n    __syncthreads();", "      }\n    }\n", "squeeze_pixels",
        "thread", "data race"),
    Bug("a missing barrier between the two layers", "excite.cuh",
        "unit, unit < hidden);\n  __syncthreads();", "unit, unit < hidden);\n", "excite", "thread",
        "data race"),
    Bug("no fence ahead of the arrival", "excite.cuh",
        "    __threadfence();  // what all", "    // what all", "excite", "thread", "data race"),
    Bug("a fence ahead of the barrier alone", "excite.cuh",
        "  __syncthreads();\n  if (threadIdx.x == 0) {\n    __threadfence();  // what all",
        "  __threadfence();\n  __syncthreads();\n  if (threadIdx.x == 0) {\n    // what all",
        "excite", "thread", "data race"),
    Bug("no fence behind the arrival", "excite.cuh",
        "    __threadfence();  // and what", "    // and what", "excite", "thread", "data race"),
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
    # Others would run the same code as without the bug.
    launches = [
        launch
        for launch in work_for(bug.sanitizer, torch.float32).launches
        if launch.kernel.startswith(bug.kernels)
    ]
    ran = run(launches, bug.sanitizer, source=source)
    assert ran.code != 0
    assert bug.told in ran.said


def test_shared_memory_starts_as_no_number(tmp_path: Path) -> None:
    """So a barrier that is missing shows in the results, whoever goes first."""
    source = tmp_path / "source"
    shutil.copytree(FOLDER, source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = source / "teams.cuh"
    barrier = next(bug for bug in BUGS if bug.name == "a missing barrier")
    file.write_text(file.read_text().replace(barrier.right, barrier.wrong))
    made = work_for("address", torch.float32)
    run(made.launches, "address", source=source)
    assert any(found.isnan().any() for found, _exact in made.checks)
