"""A limit ends what no signal can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Locked twice by one thread, which then waits within C, and goes on waiting after any signal.
_HANGING = """
import ctypes
from tests.timing_out import hanging

@hanging(1)
def test_that_waits_for_itself():
    lock = ctypes.create_string_buffer(64)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)
"""


def test_a_call_that_never_returns_is_ended(tmp_path: Path) -> None:
    """Where it hangs is told."""
    test = tmp_path / "test_hanging.py"
    test.write_text(_HANGING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test)],
        capture_output=True, text=True, check=False, timeout=60,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode != 0
    assert "Timeout" in done.stdout + done.stderr
    assert "libc.pthread_mutex_lock(lock)" in done.stdout + done.stderr
