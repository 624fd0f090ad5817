"""Rounds of made-up benchmarks, on a clock that they alone move."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bench.interleave.rounds import MOST_ROUNDS, Share, Wish, run_rounds, shares


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class MadeUp:
    """Takes as long as it says; fails, or is interrupted, in a turn."""

    clock: Clock
    wish: Wish
    fails_in: int | None = None
    interrupted_in: int | None = None
    started: int = 0
    kept: list[list[float] | None] = field(default_factory=list)

    def turn(self, samples: int) -> list[float] | None:
        self.started += 1
        if self.started == self.interrupted_in:
            raise KeyboardInterrupt
        self.clock.now_s += samples * self.wish.sample_s + self.wish.turn_s
        return None if self.started == self.fails_in else [self.wish.sample_s] * samples

    def keep(self, samples: list[float] | None) -> None:
        self.kept.append(samples)

    @property
    def samples(self) -> int:
        return sum(len(samples) for samples in self.kept if samples)


def arms(*samples_s: float, **how: float) -> tuple[Clock, list[MadeUp]]:
    clock = Clock()
    return clock, [MadeUp(clock, Wish(each, 1.0, 5, **how)) for each in samples_s]  # type: ignore[arg-type]


def test_equals_meet_in_every_round() -> None:
    """Benchmarks that take about as long have the same share, though their estimates differ."""
    assert (
        shares([Wish(0.010, 1.0, 5), Wish(0.011, 1.0, 5), Wish(0.0125, 1.0, 5)])
        == [Share(1, 1)] * 3
    )


def test_slow_ones_sit_out_and_quick_ones_take_more() -> None:
    """Every benchmark has about its max_time; whom a slow one meets, it meets always."""
    quick, slow = shares([Wish(1e-5, 1.0, 5), Wish(0.01, 1.0, 5)])
    assert quick == Share(1, round(1 / MOST_ROUNDS / 1e-5))
    assert slow == Share(8, 1)


def test_a_costly_turn_takes_as_many_samples_as_it_costs() -> None:
    """What is run again for a turn of short samples takes several of them."""
    assert shares([Wish(1e-3, 1.0, 5, turn_s=1e-2)]) == [Share(1, 10)]


def test_time_is_what_pytest_benchmark_would_take() -> None:
    """The sum of max_time, to a round: however unequal the benchmarks are."""
    clock, made_up = arms(1e-4, 1e-3, 1e-2, 1e-1)
    run_rounds(made_up, 0, clock=clock)
    assert clock.now_s == pytest.approx(4.0, rel=0.2)
    times_s = [arm.samples * arm.wish.sample_s for arm in made_up]
    assert max(times_s) < 2.1 * min(times_s)


def test_fewest_samples_are_taken_though_it_is_late() -> None:
    clock, made_up = arms(1.0, 0.001)
    run_rounds(made_up, 0, clock=clock)
    assert made_up[0].samples == 5


def test_fixed_turns_are_taken_and_no_more() -> None:
    clock, made_up = arms(0.01, 0.01)
    made_up[1].wish = Wish(0.0, 0.0, 3, fixed_turns=3)
    run_rounds(made_up, 0, clock=clock)
    assert made_up[1].samples == 3
    assert made_up[0].samples > 50


def test_an_arm_that_fails_takes_no_further_turn() -> None:
    """The rest go on, and its time is not given to them."""
    clock, made_up = arms(0.01, 0.01, 0.01)
    made_up[1].fails_in = 4
    run_rounds(made_up, 0, clock=clock)
    assert made_up[1].started == 4
    assert made_up[0].samples == made_up[2].samples > 90
    assert clock.now_s == pytest.approx(2.0, rel=0.05)


def test_giving_up_keeps_the_round() -> None:
    clock, made_up = arms(0.01, 0.01)
    made_up[1].fails_in = 4
    assert run_rounds(made_up, 0, give_up=lambda: True, clock=clock) == 4
    assert made_up[0].samples == 4


def test_interrupted_round_is_lost_and_no_other() -> None:
    clock, made_up = arms(0.01, 0.01)
    made_up[1].interrupted_in = 4
    with pytest.raises(KeyboardInterrupt):
        run_rounds(made_up, 0, clock=clock)
    assert [arm.samples for arm in made_up] == [3, 3]


def test_rounds_are_told_to_all() -> None:
    """Who sits out keeps nothing for that round, so that rounds can be paired."""
    clock, made_up = arms(0.01, 0.1)
    rounds = run_rounds(made_up, 0, clock=clock)
    assert [len(arm.kept) for arm in made_up] == [rounds, rounds]
    assert [samples is not None for samples in made_up[1].kept[:9]] == [True, *[False] * 7, True]


def test_turns_are_never_too_few() -> None:
    """What would have all its samples in two turns takes five."""
    clock, made_up = arms(0.01, turn_s=0.5)
    run_rounds(made_up, 0, clock=clock)
    assert made_up[0].started == 5
