"""Growth of the resident set, and children that measure it or die trying."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from bench.measure import resident
from bench.measure.resident import give_back_free_memory, measure_in_fork, resident_growth

MIB = 2**20
ALLOCATED = 64 * MIB
SLACK = 4 * MIB

pytestmark = pytest.mark.skipif(
    not (resident.STATUS.exists() and os.access(resident.CLEAR_REFS, os.W_OK)),
    reason="there is no /proc whose peak can be reset",
)


@pytest.fixture(autouse=True)
def lean_parent() -> None:
    """What earlier tests freed would count as a peak of the past in every fork."""
    give_back_free_memory()


def nothing() -> None:
    pass


def allocate(size: int = ALLOCATED) -> None:
    """Writes to ``size`` bytes, so that every page is resident, and frees them."""
    assert len(b"x" * size) == size


def grow_in_fork(size: int = ALLOCATED) -> int | None:
    return measure_in_fork(lambda: resident_growth(lambda: allocate(size), nothing))


def test_growth_is_what_was_allocated() -> None:
    """A callable that fills 64 MiB grows its process by 64 MiB, though it frees them."""
    growth = grow_in_fork()
    assert growth == pytest.approx(ALLOCATED, abs=SLACK)


def test_growth_of_nothing_is_nothing() -> None:
    """A callable that does nothing grows its process by nothing to speak of."""
    assert measure_in_fork(lambda: resident_growth(nothing, nothing)) == pytest.approx(0, abs=SLACK)


def test_forks_are_fresh() -> None:
    """What one child allocated, large as it was, is not seen by the next."""
    assert grow_in_fork(3 * ALLOCATED) == pytest.approx(3 * ALLOCATED, abs=SLACK)
    assert grow_in_fork() == pytest.approx(ALLOCATED, abs=SLACK)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_free_memory_of_the_parent_hides_nothing() -> None:
    """A hole in the parent's heap, large enough for all that is allocated, is not filled unseen."""
    with hole_in_the_heap(2 * ALLOCATED):
        assert grow_in_fork() == pytest.approx(ALLOCATED, abs=SLACK)


@contextmanager
def hole_in_the_heap(size: int) -> Iterator[None]:
    """Small blocks, all freed but the last, which keeps the heap from shrinking."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    small = 100_000  # larger ones get mappings of their own
    *hole, last = [libc.malloc(ctypes.c_size_t(small)) for _ in range(size // small)]
    for block in hole:
        ctypes.memset(block, 1, small)
        libc.free(block)
    try:
        yield
    finally:
        libc.free(last)


def test_warm_up_is_not_measured() -> None:
    """A warm-up with the higher peak neither counts nor hides what comes after it."""

    def measure() -> int | None:
        return resident_growth(allocate, lambda: allocate(3 * ALLOCATED))

    assert measure_in_fork(measure) == pytest.approx(ALLOCATED, abs=SLACK)


def test_hidden_peak_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the peak cannot be reset, one below an earlier one is None, a higher one exact."""
    monkeypatch.setattr(resident, "CLEAR_REFS", tmp_path / "missing" / "clear_refs")

    def measure(size: int) -> int | None:
        return resident_growth(lambda: allocate(size), lambda: allocate(2 * ALLOCATED))

    assert measure_in_fork(lambda: measure(ALLOCATED)) is None
    growth = measure_in_fork(lambda: measure(4 * ALLOCATED))
    assert growth == pytest.approx(4 * ALLOCATED, abs=SLACK)


def test_growth_without_proc_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system without /proc the growth is None, not 0."""
    monkeypatch.setattr(resident, "STATUS", tmp_path / "status")
    assert resident_growth(nothing, nothing) is None


def test_result_comes_back() -> None:
    """What the function returns in the child is what the parent gets."""
    assert measure_in_fork(lambda: {"bytes": [1, None], "pid": os.getpid()}) == {
        "bytes": [1, None],
        "pid": pytest.approx(os.getpid(), abs=1e9),
    }
    assert measure_in_fork(os.getpid) != os.getpid()


def test_killed_child_ran_out_of_memory() -> None:
    """A child that is killed outright is taken for one that the kernel killed for its memory."""
    with pytest.raises(MemoryError, match=r"SIGKILL"):
        measure_in_fork(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_crashed_child_names_its_signal() -> None:
    """A child that any other signal ends is an error that names the signal."""
    with pytest.raises(RuntimeError, match=r"^killed by SIGTERM$"):
        measure_in_fork(lambda: os.kill(os.getpid(), signal.SIGTERM))


def test_child_that_exits_is_an_error() -> None:
    """A child that leaves early has no result, and says with which status."""
    with pytest.raises(RuntimeError, match=r"^exited with status 3 and without a result$"):
        measure_in_fork(lambda: os._exit(3))


def test_exception_of_the_child_is_told() -> None:
    """An exception in the child is an error with its type and text."""

    def fail() -> None:
        raise KeyError("weights")

    with pytest.raises(RuntimeError, match=r"^KeyError: 'weights'$"):
        measure_in_fork(fail)


def test_result_that_is_no_json_is_told() -> None:
    """A result that cannot come back is an error, not a hang."""
    with pytest.raises(RuntimeError, match=r"^TypeError: .*not JSON serializable"):
        measure_in_fork(object)


def test_allocation_that_fails_is_a_memory_error() -> None:
    """Both Python and torch running out of memory in the child are a MemoryError here."""
    for allocate_too_much in (lambda: bytearray(2**62), lambda: torch.empty(2**50)):
        with pytest.raises(MemoryError, match=r"^(MemoryError|RuntimeError): "):
            measure_in_fork(allocate_too_much)


def test_children_leave_nothing_behind() -> None:
    """Neither a zombie nor an open pipe remains of a child, however it ended."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    measure_in_fork(nothing)
    with pytest.raises(MemoryError):
        measure_in_fork(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


RUNTIME = """
import json, torch
from bench.measure import resident
from bench.measure.resident import measure_in_fork, resident_growth
from se_models import SqueezeExcitation

def ones():
    torch.ones(16 * 2**20)

def squeeze():
    with torch.no_grad():
        SqueezeExcitation(8)(torch.zeros(1, 8, 8, 8))

torch.set_num_threads(2)
growths = [measure_in_fork(lambda: resident_growth(run)) for run in (ones, squeeze)]
torch.ones(2**22)
resident.WARM_UP_LIMIT_S = 2
try:
    measure_in_fork(lambda: resident_growth(ones))
except RuntimeError as error:
    print(json.dumps([*growths, str(error)]))
"""


@pytest.mark.slow
def test_fresh_process_and_a_used_one() -> None:
    """A fresh process counts tensors and no libraries; one that ran operators says so, and ends."""
    command = [sys.executable, "-c", RUNTIME]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    ones, squeeze, error = json.loads(done.stdout)
    assert ones == pytest.approx(ALLOCATED, abs=SLACK)
    assert squeeze == pytest.approx(0, abs=SLACK)
    assert error.startswith("hung at its first operator")
