"""When the times of a visit mean nothing, because other work took the CPUs that it ran on.

Threads then spin for partners that are not running. Forwards take unlike times,
so that even pairs of equal models scatter; or each of them takes many times as
long as it should, and pairs look sound. Neither sign shows every breakdown.
"""

from __future__ import annotations

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


def is_breakdown(scatter: float | None, trunk_s: float, best_s: float) -> bool:
    """Whether a visit shows either sign.

    Args:
        scatter: of the ratio of its control to its trunk; None if no control rode.
        trunk_s: the median time of its trunk.
        best_s: the least such median of all visits with this trunk in the same setting.
    """
    return (scatter is not None and scatter > BREAKDOWN) or trunk_s > SLOWED * best_s
