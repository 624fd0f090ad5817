"""How threads wait for one another: a part of every time that several threads make together.

As OpenMP comes, a thread that waits spins for a while: quick where each thread
has a CPU of its own, and a breakdown where other work takes one, since then
threads spin for partners that are not running. Passive threads sleep at once:
a forward takes longer in quiet, and pairs survive a load.
"""

from __future__ import annotations

import os
from typing import Literal, get_args

Waiting = Literal["deployed", "passive"]
WAITING: tuple[Waiting, ...] = get_args(Waiting)

_OPENMP_PREFIXES = ("OMP_", "GOMP_", "KMP_")
# GNU's OpenMP, which torch's wheels bring, reads the first two, Intel's the third.
_PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def variables(waiting: Waiting) -> dict[str, str]:
    """The environment variables that make a process's threads wait so.

    OpenMP reads them when it is loaded. ``deployed`` sets none: what the
    environment says, holds.
    """
    return dict(_PASSIVE) if waiting == "passive" else {}


def environment(waiting: Waiting) -> dict[str, str]:
    """The environment of a process whose threads wait so, whatever this one was told."""
    return with_openmp(variables(waiting))


def with_openmp(settings: dict[str, str]) -> dict[str, str]:
    """The environment with these settings of OpenMP and no others."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_OPENMP_PREFIXES)
    }
    return {**inherited, **settings}
