"""Memory that a forward has freed stays with the process, for the next forward.

glibc gives the largest maps back to the system as soon as they are freed, unless
something else lies above them in the heap, and the next forward has each of their
pages made anew. How much of that befalls a forward, what the process happens to
hold beside the model decides.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping

# From glibc's malloc.h.
_TRIM_THRESHOLD, _NEVER = -1, -1
_MOST_MAPPED, _NONE = -4, 0
_KEEPS = "keeps what is freed"
_DEFAULT = "default"


def keep_freed_memory() -> None:
    """Let glibc keep what this process frees from now on, unless its settings are a user's own."""
    mallopt = _mallopt()
    if mallopt is not None and not _own_settings(os.environ):
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MOST_MAPPED, _NONE)


def allocator(environment: Mapping[str, str] = os.environ) -> str:
    """How the allocator is set while forwards are timed in such an environment."""
    return _own_settings(environment) or (_DEFAULT if _mallopt() is None else _KEEPS)


def _own_settings(environment: Mapping[str, str]) -> str:
    """What the environment sets glibc's allocator to; it then stays so."""
    return ", ".join(
        f"{name}={value}"
        for name, value in sorted(environment.items())
        if (name.startswith("MALLOC_") and name.endswith("_"))
        or (name == "GLIBC_TUNABLES" and "glibc.malloc." in value)
    )


def _mallopt() -> Callable[[int, int], int] | None:
    return getattr(ctypes.CDLL(None), "mallopt", None)
