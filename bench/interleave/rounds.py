"""Rounds: who takes a turn when, for how many samples, and until when.

The time is what pytest-benchmark would spend: the sum of every benchmark's
``max_time``, and never fewer than its ``min_rounds`` samples. A quick benchmark
takes several samples a turn, so that starting a turn costs little beside them.
A slow one sits out: it comes in every second round, or fourth, or eighth, and
so on. As all of these are powers of two, two benchmarks meet in every round
that the slower of them is in, and can be compared within it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.order import balanced_orders

# Enough for any median; what is so quick that it could do more takes more samples a turn.
MOST_ROUNDS = 1024
# Fewer turns would hardly be interleaved, however many samples they had.
FEWEST_TURNS = 5
# No clock tells less apart.
SHORTEST_S = 1e-9


@dataclass(frozen=True)
class Wish:
    """What a benchmark asks for.

    Attributes:
        sample_s: how long a sample takes.
        max_time_s: the time that pytest-benchmark would measure for.
        min_samples: the fewest samples, whatever they take.
        turn_s: what a turn takes besides its samples.
        fixed_turns: how many turns, where that is given: a sample each, and time is no limit.
    """

    sample_s: float
    max_time_s: float
    min_samples: int
    turn_s: float = 0.0
    fixed_turns: int | None = None

    @property
    def samples(self) -> int:
        """Samples a turn: at least as much time goes into them as into all else."""
        if self.fixed_turns is not None:
            return 1
        turn_s = max(self.turn_s, self.max_time_s / MOST_ROUNDS)
        return max(1, round(turn_s / max(self.sample_s, SHORTEST_S)))

    @property
    def turns(self) -> int:
        """Turns, for all the time, if none takes longer than expected."""
        if self.fixed_turns is not None:
            return min(self.fixed_turns, MOST_ROUNDS)
        each_s = self.turn_s + self.samples * max(self.sample_s, SHORTEST_S)
        return min(max(self.min_samples, math.ceil(self.max_time_s / each_s)), MOST_ROUNDS)


@dataclass(frozen=True)
class Share:
    """A turn of so many samples, in every so many-th round."""

    every: int
    samples: int


class Arm(Protocol):
    """Who takes turns."""

    wish: Wish

    def turn(self, samples: int) -> list[float] | None:
        """Seconds of that many samples, or None if the benchmark failed."""

    def keep(self, samples: list[float] | None) -> None:
        """Take what the arm measured in a round that is now complete; None if it sat out."""


def shares(wishes: Sequence[Wish]) -> list[Share]:
    """How often each takes a turn, and of how many samples."""
    most = max(wish.turns for wish in wishes)
    return [Share(2 ** int(math.log2(most / wish.turns)), wish.samples) for wish in wishes]


def run_rounds(
    arms: Sequence[Arm],
    seed: int,
    give_up: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure until the time is up and every arm has as many samples as it asked for at least.

    What is measured in a round is kept when the round is complete: an exception
    in it (an interrupt) loses that round alone. An arm that fails takes no
    further turn.

    Args:
        arms: at least one.
        seed: of the orders within rounds.
        give_up: asked after a round in which an arm failed.
        clock: in seconds.

    Returns:
        How many rounds were complete.
    """
    taking = dict(enumerate(shares([arm.wish for arm in arms])))
    turns = [0] * len(arms)
    taken = [0] * len(arms)
    budget_s = sum(arm.wish.max_time_s for arm in arms)
    orders = balanced_orders(len(arms), seed)
    started_s = clock()
    rounds = tick = 0
    while taking:
        is_late = clock() - started_s >= budget_s
        if is_late:
            for each in [
                each for each in taking if _is_enough(arms[each], turns[each], taken[each])
            ]:
                del taking[each]
        due = {each for each, share in taking.items() if is_late or not tick % share.every}
        tick += 1
        if not due:
            continue
        measured = {
            each: arms[each].turn(taking[each].samples) for each in next(orders) if each in due
        }
        rounds += 1
        failed = False
        for each, arm in enumerate(arms):
            samples = measured.get(each)
            arm.keep(samples)
            if each not in due:
                continue
            turns[each] += 1
            if samples is None:
                failed = True
                budget_s -= arm.wish.max_time_s
            else:
                taken[each] += len(samples)
            if samples is None or turns[each] == arm.wish.fixed_turns:
                del taking[each]
        if failed and give_up():
            break
    return rounds


def _is_enough(arm: Arm, turns: int, samples: int) -> bool:
    """Whether an arm can stop when it is late; one with fixed turns stops after these alone."""
    fewest = arm.wish.min_samples
    is_fixed = arm.wish.fixed_turns is not None
    return not is_fixed and turns >= min(FEWEST_TURNS, fewest) and samples >= fewest
