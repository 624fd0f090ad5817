"""CUDA's events, on a clock that tests advance."""

from __future__ import annotations


class FakeEvent:
    """For ``torch.cuda.Event``; a forward advances the clock of all by what it is to take."""

    clock_ms = 0.0

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.at_ms: float | None = None
        self.is_synchronized = False

    def record(self) -> None:
        self.at_ms, self.is_synchronized = FakeEvent.clock_ms, False

    def synchronize(self) -> None:
        self.is_synchronized = True

    def elapsed_time(self, end: FakeEvent) -> float:
        assert end.is_synchronized
        assert end.at_ms is not None
        assert self.at_ms is not None
        return end.at_ms - self.at_ms
