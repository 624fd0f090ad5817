"""What became of a trial that raised: an exception as an Outcome."""

from __future__ import annotations

import torch

from bench.record import Outcome, Quantity
from bench.trial import Trial

# How torch's CPU allocator says that memory ran out; it raises a plain RuntimeError.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def failure(
    trial: Trial, quantity: Quantity, error: Exception, visit: str | None = None
) -> Outcome:
    """``oom`` if memory ran out, else ``crashed``; the reason is the error's first line."""
    text = str(error)
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in text for words in _OUT_OF_MEMORY
    )
    first_line = text.splitlines()[0] if text else ""
    reason = f"{type(error).__name__}: {first_line}"
    return Outcome(trial, quantity, "oom" if out_of_memory else "crashed", reason, visit)
