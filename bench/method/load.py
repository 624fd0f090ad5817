"""Other work on the same machine, started on purpose: what a benchmark must survive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Load = Literal["quiet", "loaded"]
LOADS: tuple[Load, ...] = get_args(Load)

# Busy for so long, then asleep for so long, until its parent's end of the pipe is closed.
_WORK = """
import select, sys, time
busy_s, idle_s = map(float, sys.argv[1:])
while not select.select([sys.stdin], [], [], idle_s)[0]:
    end = time.perf_counter() + busy_s
    while time.perf_counter() < end:
        sum(i * i for i in range(1000))
"""
# One process that is busy all the time for every CPU but one, and one that is busy half of it:
# a machine that is nearly full, and whose load comes and goes.
_ALWAYS, _HALF = ("0.5", "0"), ("0.5", "0.5")


@contextmanager
def under(load: Load, cpus: int) -> Iterator[None]:
    """Run other processes on ``cpus`` CPUs meanwhile; none if it is to be quiet."""
    shares = [_ALWAYS] * max(1, cpus - 1) + [_HALF] if load == "loaded" else []
    processes = [
        subprocess.Popen([sys.executable, "-c", _WORK, *share], stdin=subprocess.PIPE)
        for share in shares
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
