"""What became of a trial that raised: an exception as an Outcome."""

from __future__ import annotations

import torch

from bench.record import Outcome, Quantity, Status
from bench.trial import Trial

# How torch's CPU allocator says that memory ran out; it raises a plain RuntimeError.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def failure(
    trial: Trial, quantity: Quantity, error: Exception, visit: str | None = None
) -> Outcome:
    """``oom`` if memory ran out, else ``crashed``; the reason is the error's first line."""
    lines = str(error).splitlines()
    reason = f"{type(error).__name__}: {lines[0] if lines else ''}"
    status: Status = "oom" if ran_out_of_memory(error) else "crashed"
    return Outcome(trial, quantity, status, reason, visit)


def ran_out_of_memory(error: Exception) -> bool:
    """Whether it says so, by its type or, where that is a plain RuntimeError, in words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in _OUT_OF_MEMORY
    )
