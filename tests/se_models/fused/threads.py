"""Threads that do the same at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


def at_once(run: Callable[[Given], Result], given: Sequence[Given]) -> list[Result]:
    """What comes of each, all of them called together; raises what the first of them raises."""
    together = Barrier(len(given))

    def start(each: Given) -> Result:
        together.wait()
        return run(each)

    with ThreadPoolExecutor(len(given)) as threads:
        return list(threads.map(start, given))
