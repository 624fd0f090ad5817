"""Commands that have a time limit; at its end they are killed, and all that they have started."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence

import psutil


def run(
    command: Sequence[str],
    *,
    name: str,
    minutes: float,
    is_captured: bool = False,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code.

    Args:
        command: program and arguments.
        name: of what is run, for the error.
        minutes: the limit.
        is_captured: keep what it prints in the result rather than let it through.
        environment: in the place of this process's own.

    Raises:
        TimeoutError: if it did not finish in time; says so by the name.
    """
    pipe = subprocess.PIPE if is_captured else None
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            printed, said = process.communicate(timeout=60 * minutes)
        except subprocess.TimeoutExpired:
            _kill(process.pid)
            raise TimeoutError(f"{name} did not finish in {minutes:g} minutes") from None
    return subprocess.CompletedProcess(command, process.returncode, printed, said)


def _kill(pid: int) -> None:
    """Children too: what a sanitizer runs would go on, and hold its pipes."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
