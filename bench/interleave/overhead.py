"""What a benchmark costs beside its baseline: ratios within rounds, and what can be said of them.

In every round both met the same machine, so the quantity is the ratio of the
medians of their turns. The baseline rides a second time as a control: its
ratio is 1, whatever is measured, and the spread of it is the noise floor.
Rounds of one process that follow each other resemble each other; so stretches
of rounds, not rounds, are taken for independent (batch means). What differs
between processes is in no interval of one session.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.interleave.job import Turns
from bench.stats import Array, Evidence, evidence, spread
from bench.verdict import Verdict, judge

# Few enough that each is long against what lasts on a machine, enough for Student's t.
STRETCHES = 10


@dataclass(frozen=True)
class Overhead:
    """A benchmark against its baseline.

    Attributes:
        name, baseline: of the tests.
        ratio: of times, what the stretches of rounds say of it.
        noise: the robust standard deviation of the control's ratios; None for fewer than two.
        rounds: how many they share.
        verdict: by `bench.verdict`, over all that are compared in the session.
    """

    name: str
    baseline: str
    ratio: Evidence
    noise: float | None
    rounds: int
    verdict: Verdict

    def as_extra_info(self) -> dict[str, float | int | str | None]:
        """Strict JSON: what nothing bounds is null."""
        interval = self.ratio.interval()
        return {
            "baseline": self.baseline,
            "ratio": self.ratio.estimate,
            "ratio_low": interval.low if interval.is_bounded else None,
            "ratio_high": interval.high if interval.is_bounded else None,
            "verdict": self.verdict,
            "noise_floor": self.noise,
            "rounds_paired": self.rounds,
        }

    def __str__(self) -> str:
        overhead = self.ratio.interval().scaled(100, -100)
        noise = "unknown" if self.noise is None else f"{100 * self.noise:.2f} %"
        return (
            f"{self.name} against {self.baseline}: {overhead.estimate:+.2f} % "
            f"({overhead.low:+.2f} to {overhead.high:+.2f}), {self.verdict}; "
            f"{self.rounds} rounds, noise floor {noise}"
        )


@dataclass(frozen=True)
class Paired:
    """The turns of a benchmark, its baseline and its control, round by round."""

    name: str
    baseline: str
    turns: Turns
    baseline_turns: Turns
    control_turns: Turns


def overheads(pairs: Sequence[Paired]) -> list[Overhead | None]:
    """What is known of each; None of one that shares no round with its baseline."""
    ratios = [paired_ratios(pair.turns, pair.baseline_turns) for pair in pairs]
    said = [evidence(np.array_split(each, STRETCHES)) for each in ratios]
    verdicts = iter(judge([each for each in said if each]))
    found: list[Overhead | None] = []
    for pair, own, ratio in zip(pairs, ratios, said, strict=True):
        if ratio is None:
            found.append(None)
            continue
        noise = spread(paired_ratios(pair.control_turns, pair.baseline_turns))
        found.append(Overhead(pair.name, pair.baseline, ratio, noise, len(own), next(verdicts)))
    return found


def paired_ratios(over: Turns, under: Turns) -> Array:
    """The ratio of medians in every round that both took a turn in."""
    ratios = [
        float(np.median(mine) / np.median(its))
        for mine, its in zip(over, under, strict=True)
        if mine and its
    ]
    return np.array([ratio for ratio in ratios if math.isfinite(ratio)])
