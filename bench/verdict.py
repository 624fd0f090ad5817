"""Three verdicts on an overhead: slower, not slower, undecided.

*Slower*: it is above 0 beyond doubt. *Not slower*: it is beyond doubt below
the margin, the least slowdown that matters. *Undecided*: neither, so more
rounds are wanted, or the machine is too noisy for the question; what it could
have seen is then said beside it.

Over a grid some of many variants seem slower by chance alone. So doubt is
measured by the false-discovery rate (Benjamini and Hochberg, 1995): of all
that are called slower, or not slower, in the long run at most so many are not.
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
    slower = _discovered([ratio.p_above(1.0) for ratio in ratios])
    not_slower = _discovered([ratio.p_below(1.0 + MARGIN) for ratio in ratios])
    return [
        "slower" if is_slower else "not slower" if is_not else "undecided"
        for is_slower, is_not in zip(slower, not_slower, strict=True)
    ]


def differing(ratios: Sequence[Evidence]) -> list[bool]:
    """Which ratios are not 1, be they above or below it, beyond doubt."""
    return _discovered(
        [min(1.0, 2 * min(ratio.p_above(1.0), ratio.p_below(1.0))) for ratio in ratios]
    )


def detectable(ratio: Evidence) -> float:
    """The smallest slowdown, as a fraction, that so noisy a measurement would mostly have found."""
    return ratio.detectable(FALSE_DISCOVERY_RATE, POWER)


def _discovered(p_values: list[float]) -> list[bool]:
    if not p_values:
        return []
    from scipy.stats import false_discovery_control  # takes long to import

    return [bool(p <= FALSE_DISCOVERY_RATE) for p in false_discovery_control(p_values)]
