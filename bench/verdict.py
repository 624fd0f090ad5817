"""Three verdicts on an overhead: slower, not slower, undecided.

*Slower*: it is above 0 beyond doubt. *Not slower*: it is beyond doubt below
the margin, the least slowdown that matters. *Undecided*: neither, so more
rounds are wanted, or the machine is too noisy for the question; what it could
have seen is then said beside it.

Over a grid some of many variants seem slower by chance alone. So doubt is
measured by the false-discovery rate (Benjamini and Hochberg, 1995): of all
that are called slower, or not slower, in the long run at most so many are not.
Of m ratios the one whose p is the k-th smallest must have it below k/m of that
rate. So a grid of many in which few are slower asks for more than one ratio
alone, and what could have been seen depends on the company too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bench.stats import Evidence

Verdict = Literal["slower", "not slower", "undecided"]

# A slowdown below this is none that anybody need care about.
MARGIN = 0.01
# Few enough that a reader need not keep count of a grid's false alarms.
FALSE_DISCOVERY_RATE = 0.005
# What "could have been seen" means: in eight of ten such measurements.
POWER = 0.8


def judge(ratios: Sequence[Evidence]) -> list[Verdict]:
    """The verdict on each ratio of a variant to its trunk, all of them one grid."""
    slower = discovered([ratio.p_above(1.0) for ratio in ratios])
    not_slower = discovered([ratio.p_below(1.0 + MARGIN) for ratio in ratios])
    return [
        "slower" if is_slower else "not slower" if is_not else "undecided"
        for is_slower, is_not in zip(slower, not_slower, strict=True)
    ]


def differing(ratios: Sequence[Evidence]) -> list[bool]:
    """Which ratios are not 1, be they above or below it, beyond doubt."""
    return discovered(
        [min(1.0, 2 * min(ratio.p_above(1.0), ratio.p_below(1.0))) for ratio in ratios]
    )


def detectable(ratios: Sequence[Evidence]) -> list[float]:
    """Of each ratio, the smallest slowdown that so noisy a measurement would mostly have found.

    As a fraction; infinite where one process alone has measured. The ratios are
    those that `judge` gets: one is called slower, the others being as they are, if
    its p is no more than the share of the rate which those called slower have
    among all, itself counted with them. That others might then be called slower
    too, which would ask for less, is left out.
    """
    slower = [verdict == "slower" for verdict in judge(ratios)]
    shares = [(sum(slower) + (not is_slower)) / len(slower) for is_slower in slower]
    return [
        ratio.detectable(FALSE_DISCOVERY_RATE * share, POWER)
        for ratio, share in zip(ratios, shares, strict=True)
    ]


def discovered(p_values: list[float], rate: float = FALSE_DISCOVERY_RATE) -> list[bool]:
    """Which hypotheses are rejected, such that in the long run a share ``rate`` of them is not."""
    if not p_values:
        return []
    from scipy.stats import false_discovery_control  # takes long to import

    return [bool(p <= rate) for p in false_discovery_control(p_values)]
