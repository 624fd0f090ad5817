"""What was made for the few kinds of input that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

# Kinds for which something is kept, unless a person chooses.
KINDS = 2


class Latest(Generic[Value]):
    """A value for each of a few kinds; the one that was used least recently makes room.

    Threads may come at once.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = KINDS) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        # Or what one thread has found another would evict before it is touched.
        # Whoever makes a value may ask for others.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, kind: Hashable) -> Value | None:
        """What is kept for ``kind``, which is the latest from now on."""
        with self._lock:
            return self._found(kind)

    def keep(self, kind: Hashable, value: Value) -> None:
        """Keep ``value`` for ``kind``, as the latest. Who uses what it evicts may go on."""
        with self._lock:
            self._put(kind, value)

    def get_or_make(self, kind: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept for ``kind``, made now unless it is; by one thread, and the others wait.

        What goes for it goes once it is made: a ``make`` that fails costs nothing.
        """
        with self._lock:
            value = self._found(kind)
            if value is None:
                value = make()
                self._put(kind, value)
            return value

    def _found(self, kind: Hashable) -> Value | None:
        value = self._kept.get(kind)
        if value is not None:
            self._kept.move_to_end(kind)
        return value

    def _put(self, kind: Hashable, value: Value) -> None:
        self._kept[kind] = value
        self._kept.move_to_end(kind)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def values(self) -> list[Value]:
        """What is kept, the latest last."""
        with self._lock:
            return list(self._kept.values())
