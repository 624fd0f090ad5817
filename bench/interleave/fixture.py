"""The `benchmark` fixture of an interleaved session, in a test's first run and in later ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.interleave.held import held_around_call
from bench.interleave.rounds import Wish
from bench.interleave.torch_state import current
from bench.interleave.touched import BenchmarkFixture


class Call(NamedTuple):
    """What a test called its benchmark with, ready to be sampled."""

    metadata: Any
    wish: Wish
    sample: Callable[[], float]
    held: str | None
    torch_state: Any


class Samples(list[float]):
    """Stands where pytest-benchmark keeps statistics, and keeps durations alone."""

    update = list[float].append


class FirstRun(BenchmarkFixture):  # type: ignore[misc]  # pytest-benchmark has no types
    """Calls the function as pytest-benchmark does, but for one round, and tells of the call.

    Calibration, warm-up, profile and result stay pytest-benchmark's own. What
    this round took is thrown away later.
    """

    _tell: Callable[[Call], None]
    _runner: Callable[[Any], float]
    _sample_s: float
    _min_rounds: int
    _asked_rounds: int

    @classmethod
    def of(cls, fixture: Any, tell: Callable[[Call], None]) -> FirstRun:
        """The same fixture, of this class from now on."""
        fixture.__class__ = cls
        fixture._tell = tell
        return fixture

    def _raw(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        state, held = current(), held_around_call()
        result = super()._raw(function, *args, **kwargs)
        iterations = range(self.stats.iterations)
        # The call that calibrated may have been the very first, which is slow.
        sample_s = min(self._sample_s, *(each * len(iterations) for each in self.stats.stats.data))
        wish = Wish(sample_s, self._max_time, self._min_rounds)
        self._tell(Call(self.stats, wish, lambda: self._runner(iterations), held, state))
        return result

    def _calibrate_timer(self, runner: Any) -> tuple[float, int, range]:
        self._sample_s, iterations, loops = super()._calibrate_timer(runner)
        self._runner = runner
        # So long a call is not repeated; the options it is recorded with are put back below.
        self._asked_rounds, self._min_rounds = self._min_rounds, 1
        return math.inf, iterations, loops

    def _make_stats(self, iterations: int) -> Any:
        if hasattr(self, "_asked_rounds"):
            self._min_rounds = self._asked_rounds
        return super()._make_stats(iterations)

    def _raw_pedantic(self, target: Any, rounds: int, **how: Any) -> Any:
        state, held = current(), held_around_call()
        # A wrong number of rounds is refused by pytest-benchmark itself.
        once = 1 if isinstance(rounds, int) and rounds > 0 else rounds
        result = super()._raw_pedantic(target, rounds=once, **how)
        metadata = self.stats
        how["warmup_rounds"] = 0

        def sample() -> float:
            # pytest-benchmark's own round, with set-up and teardown, but a record apart.
            taken = Samples()
            self.__dict__["_make_stats"] = lambda *_: taken
            super(FirstRun, self)._raw_pedantic(target, rounds=1, **how)
            return taken[0]

        self.cprofile = False
        wish = Wish(sample_s=0.0, max_time_s=0.0, min_samples=rounds, fixed_turns=rounds)
        self._tell(Call(metadata, wish, sample, held, state))
        return result


class LaterRun(BenchmarkFixture):  # type: ignore[misc]  # pytest-benchmark has no types
    """Takes one turn's samples inside the test, where all that the test set up lives."""

    _wanted: int
    _first: Any
    _taken: Samples

    @classmethod
    def of(cls, fixture: Any, wanted: int, first: Any, taken: Samples) -> LaterRun:
        """The same fixture, of this class from now on; ``taken`` gets the samples."""
        # The first run's record stands for statistics.
        fixture.__class__ = cls
        fixture._wanted, fixture._first, fixture._taken = wanted, first, taken
        fixture.cprofile = False
        return fixture

    def _raw(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        runner = self._make_runner(function, args, kwargs)
        # What was just set up pays for its first call, as in a first run's calibration.
        _, result = runner(None)
        iterations = range(self._first.iterations)
        self._make_stats().extend(runner(iterations) for _ in range(self._wanted))
        return result

    def _raw_pedantic(self, target: Any, **how: Any) -> Any:
        return super()._raw_pedantic(target, **{**how, "rounds": self._wanted})

    def _make_stats(self, *_: Any) -> Samples:
        self.stats = self._first  # what the test reads after the call
        return self._taken
