"""A benchmark whose test has passed and that waits to be measured: the queue holds such."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bench.interleave.rounds import Wish
from bench.interleave.torch_state import TorchState

# What is raised by pytest.fail and pytest.skip is no Exception.
FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception)


# The samples of every complete round; None where a benchmark sat out or failed.
Turns = list[list[float] | None]


@dataclass(eq=False)
class Job:
    """What is measured, and what was measured of it.

    Attributes:
        item: the test.
        metadata: pytest-benchmark's record, which gets the samples.
        wish: how much is wanted.
        sample: one sample, in seconds of all its iterations.
        gone: the name of a fixture that it needs and that is torn down.
        held: what the test holds around the call, in words.
        torch_state: what the test had set torch to.
        again: run the test again for so many samples; None if it failed.
        turns: what was measured, in seconds of all iterations.
        baseline: the name of the benchmark that this one is compared with.
        reports: what pytest reported of the test, not yet told.
        runs_again: why the test is run again in every round, in words.
        failure: why it takes no more turns.
        original: whose copy it is; None of one that is no copy.
    """

    item: pytest.Item
    metadata: Any
    wish: Wish
    sample: Callable[[], float]
    gone: Callable[[], str | None]
    held: str | None
    torch_state: TorchState | None
    again: Callable[[Job, int], list[float] | None]
    turns: Turns = field(default_factory=list)
    reports: list[pytest.TestReport] = field(default_factory=list)
    runs_again: str | None = None
    baseline: str | None = None
    failure: pytest.ExceptionInfo[BaseException] | pytest.TestReport | None = None
    original: Job | None = None

    def look_around(self) -> None:
        """See whether all that the call needs is there; if not, the test runs again for every turn.

        To run it again costs what its first run did, but for the calls. Those were
        three at least: to calibrate, for a round, and for the result.
        """
        gone = self.gone()
        self.runs_again = self.held or (f"its fixture '{gone}' is torn down" if gone else None)
        if not self.runs_again:
            return
        first_s = sum(report.duration for report in self.reports)
        turn_s = max(0.0, first_s - 3 * self.wish.sample_s) + self.wish.sample_s
        self.wish = replace(self.wish, turn_s=turn_s)

    def turn(self, samples: int) -> list[float] | None:
        if self.failure:  # its copy has failed
            return None
        # Another's running again may have torn down a fixture that both use.
        if not self.runs_again and self.gone():
            self.look_around()
        if self.runs_again:
            return self.again(self, samples)
        try:
            if self.torch_state is None or self.torch_state.holds():
                return [self.sample() for _ in range(samples)]
            with self.torch_state.entered():
                if self.torch_state.casts:
                    self.sample()
                return [self.sample() for _ in range(samples)]
        except FAILURES as error:
            self.fail(pytest.ExceptionInfo.from_exception(error))
            return None

    def fail(self, failure: pytest.ExceptionInfo[BaseException] | pytest.TestReport) -> None:
        """Take no more turns; nor does its original, as a copy is reported nowhere."""
        self.failure = failure
        if self.original and not self.original.failure:
            self.original.failure = failure

    def twin(self) -> Job:
        """Another of the same, which takes turns of its own and hands over nothing but failure."""
        return replace(self, turns=[], reports=[], original=self)

    def keep(self, samples: list[float] | None) -> None:
        self.turns.append(samples)

    def hand_over(self) -> None:
        """Give pytest-benchmark the samples of complete rounds.

        A benchmark that failed, or has none, is marked as pytest-benchmark marks
        one that raised: tables and files leave it out.
        """
        samples = [sample for turn in self.turns for sample in turn or ()]
        # Statistics of what was measured before are cached in the old ones.
        self.metadata.stats = type(self.metadata.stats)()
        if self.failure is None:
            for sample in samples:
                self.metadata.update(sample)
        if not self.metadata.stats:
            self.metadata.fixture.has_error = True
