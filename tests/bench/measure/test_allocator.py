"""What is freed stays, by the page faults of a process; a user's own settings hold."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys

import pytest

from bench.measure.allocator import allocator, keep_freed_memory

# Eight images' maps of 64 channels behind the stem of a ResNet.
MAP_BYTES = 25_690_112

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")


def faults_again(**environment: str) -> int:
    """Page faults of writing a large map, in a process that has freed one like it."""
    done = subprocess.run(
        [sys.executable, __file__], env=os.environ | environment,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return int(done.stdout)


def test_freed_maps_are_not_made_anew() -> None:
    """The second map costs next to no page faults; as glibc starts out, as many as the first."""
    # A threshold set by hand is not adapted to what is freed. With huge pages it takes few faults.
    given_back = faults_again(MALLOC_MMAP_THRESHOLD_="131072")
    assert faults_again() < given_back / 4


def test_the_setting_is_told() -> None:
    """Ours, or whatever the environment sets, by name and value."""
    assert allocator({"OMP_NUM_THREADS": "2"}) == "keeps what is freed"
    assert allocator({"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}) == (
        "MALLOC_TRIM_THRESHOLD_=131072"
    )
    tunables = "glibc.malloc.trim_threshold=131072"
    assert allocator({"GLIBC_TUNABLES": tunables}) == f"GLIBC_TUNABLES={tunables}"
    assert allocator({"GLIBC_TUNABLES": "glibc.cpu.x86_ibt=on"}) == "keeps what is freed"


def _write_and_free() -> int:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(ctypes.c_size_t(MAP_BYTES))
    ctypes.memset(block, 1, MAP_BYTES)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


if __name__ == "__main__":
    keep_freed_memory()
    _write_and_free()
    print(_write_and_free())
