"""A command ends by its limit, and so does what it has started."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from bench import limited
from tests.timing_out import hanging

pytestmark = hanging(60)

# Starts a process that would outlive it, tells its id, and waits for it.
_PARENT = """
import subprocess, sys
child = subprocess.Popen(["sleep", "50"])
open(sys.argv[1], "w").write(str(child.pid))
child.wait()
"""


def test_what_ends_in_time_gives_its_output() -> None:
    """And its exit code, and it sees the environment that was given."""
    code = "import os, sys; print(os.environ['ASKED']); sys.exit('told')"
    done = limited.run(
        [sys.executable, "-c", code],
        name="it", minutes=1, is_captured=True, environment={"ASKED": "answer"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (1, "answer\n", "told\n")


@pytest.mark.parametrize("is_captured", [True, False])
def test_what_does_not_is_ended_with_its_children(is_captured: bool, tmp_path: Path) -> None:
    """The error says what was run, and how long it had."""
    pid = tmp_path / "pid"
    command = [sys.executable, "-c", _PARENT, str(pid)]
    with pytest.raises(TimeoutError, match=r"^memcheck did not finish in 0\.05 minutes$"):
        limited.run(command, name="memcheck", minutes=0.05, is_captured=is_captured)
    deadline = time.monotonic() + 10
    while not has_ended(int(pid.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Though whoever inherits it may never ask for its exit code."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
