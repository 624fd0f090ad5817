"""When the times of a visit mean nothing, because other work took the CPUs that it ran on.

Threads then spin for partners that are not running. Forwards take unlike times,
so that even pairs of equal models scatter; or each of them takes many times as
long as it should, and pairs look sound; or the host says itself that it took the
CPUs away. No sign shows every breakdown.
"""

from __future__ import annotations

from dataclasses import dataclass

# The scatter (robust sd) of single pairs of equal models above which they mean nothing. In the
# contention experiment (`results/method/contention.csv`) 74 of 75 sound processes had at most 0.09,
# the last 0.14; 33 of 35 that should break down were above this or slow, and the two others had
# pairs that were right within 1.3 %. A noisy machine has 0.06 to 0.08 and now and then a visit
# above this, which is lost. Lower would lose many, since what the first ten rounds of a visit show
# is off by a quarter.
BREAKDOWN = 0.13
# So many times as slow as the trunk at its best. There, under load, passive threads took up to
# twice as long and a short spin two and a half times, with sound pairs; threads that spin long
# took three to twenty times, some with pairs that scattered by no more than 0.06.
SLOWED = 3.0
# The part of its threads' time that the host took. In the proof's recordings (`results/method`)
# it was 0.031 or less in all processes but seven that ran one after the other: these had 0.05 and
# more, and their equal models differed by 18 to 68 %, in one with pairs that scattered by 0.08.
STOLEN = 0.04
# An interval takes so many visits.
LEAST_CLEAN = 2


@dataclass(frozen=True)
class Signs:
    """What a visit tells of the machine that it ran on.

    Attributes:
        scatter: of the ratio of its control to its trunk; None if no control rode.
        trunk_s: the median time of its trunk.
        stolen: the part of its threads' time that the host took, as far as it is known.
    """

    scatter: float | None
    trunk_s: float
    stolen: float


def is_breakdown(signs: Signs, best_s: float) -> bool:
    """Whether a visit shows any sign.

    Args:
        signs: the visit's own.
        best_s: the least ``trunk_s`` of all visits with this trunk in the same setting.
    """
    scatters = signs.scatter is not None and signs.scatter > BREAKDOWN
    return scatters or signs.trunk_s > SLOWED * best_s or signs.stolen > STOLEN


def stolen_share(steal_s: float | None, span_s: float, threads: int) -> float:
    """The part of the time of ``threads`` that the host took in ``span_s``, at most.

    0 where it is unknown, and where one thread runs alone: it waits for no other,
    and is only slowed.
    """
    if steal_s is None or threads < 2 or span_s <= 0:
        return 0.0
    return steal_s / (threads * span_s)


def suffices(clean: int, visits: int) -> bool:
    """Whether so many clean visits can speak for all.

    Where most are broken, those that show no sign were most likely disturbed as well.
    """
    return clean >= max(LEAST_CLEAN, visits / 2)
