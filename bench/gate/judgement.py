"""Whether a change is one, and a regression: verdicts on what several triples of processes say.

A triple is a process of the base, one of head, and a second one of the base,
the control. Head is held against both of the base, and the control against the
first: what two processes of the same source differ by is no regression. A
*regressed* variant is slower than the threshold and beyond doubt slower at all;
*improved* is the mirror image; *unchanged* is beyond doubt not slower than the
threshold. Doubt is measured by the false-discovery rate over the grid, as in
`bench.verdict`, at a rate that is not small: what is suspected is measured again
by other processes before it counts.

Triples are added one by one, and each time there is a look at all verdicts, which
may end it. Chance has as many occasions as there are looks, so that they share the
rate: the n-th has 1 / (n (n + 1)) of it, which all together make no more than the
whole, whenever it ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.stats import Array, Evidence, evidence
from bench.verdict import POWER, discovered

Verdict = Literal[
    "regressed", "improved", "unchanged", "undecided", "broken", "not comparable", "not run"
]

THRESHOLD = 0.02
FALSE_DISCOVERY_RATE = 0.05
# Fewer say too little of how processes differ.
LEAST_TRIPLES = 3
# Over which an error's distribution is averaged.
_STEPS = 400


@dataclass(frozen=True)
class Known:
    """Of one variant: head over the base, and the control over the base, by all triples."""

    change: Evidence
    control: Evidence

    @classmethod
    def of(cls, triples: Sequence[Array]) -> Known:
        """From an array for each triple, whose rows are rounds of (base, head, control).

        Head is divided by the geometric mean of the two of the base.
        """
        changes = [times[:, 1] / np.sqrt(times[:, 0] * times[:, 2]) for times in triples]
        controls = [times[:, 2] / times[:, 0] for times in triples]
        change, control = evidence(changes), evidence(controls)
        assert change is not None
        assert control is not None
        return cls(change, control)


def rate_at(look: int) -> float:
    """The false-discovery rate that the n-th look, from 1, may spend."""
    return FALSE_DISCOVERY_RATE / (look * (look + 1))


def judge(known: Sequence[Known], threshold: float, look: int) -> list[Verdict]:
    """The verdict on each variant, all of them one grid.

    Args:
        known: of each variant.
        threshold: the least slowdown that counts, as a fraction.
        look: how many times there have been verdicts on these processes, this one included.
    """
    rate = rate_at(look)
    changes = [each.change for each in known]
    slower = discovered([change.p_above(1.0) for change in changes], rate)
    faster = discovered([change.p_below(1.0) for change in changes], rate)
    within = discovered([change.p_below(1.0 + threshold) for change in changes], rate)
    return [
        _verdict(each, threshold, slower=slower[n], faster=faster[n], within=within[n])
        for n, each in enumerate(known)
    ]


def _verdict(
    known: Known, threshold: float, *, slower: bool, faster: bool, within: bool
) -> Verdict:
    change = known.change
    if change.processes < LEAST_TRIPLES or distrusted(known, threshold):
        return "undecided"
    if slower and change.estimate > 1 + threshold:
        return "regressed"
    if faster and change.estimate < 1 / (1 + threshold):
        return "improved"
    return "unchanged" if within else "undecided"


def distrusted(known: Known, threshold: float) -> bool:
    """Whether two processes of one source differ beyond doubt, by as much as would count."""
    control = known.control
    return abs(control.estimate - 1) > threshold and not control.interval().covers(1.0)


def detectable(known: Sequence[Known], threshold: float, look: int) -> list[float]:
    """Of each variant, the smallest slowdown that would mostly have failed a build, as a fraction.

    Were it the only one that is slower: found beyond the threshold and beyond doubt by
    so noisy a set at this look, and by a second one, as large and as noisy, which
    measures it alone. Infinite while one triple alone has measured.
    """
    rate = rate_at(look)
    return [_reach(each.change, rate / len(known), rate, threshold) for each in known]


def _reach(change: Evidence, alpha: float, alpha_alone: float, threshold: float) -> float:
    """The slowdown at which two sets find it with a probability of ``POWER`` together."""
    from scipy.optimize import brentq  # these take long to import
    from scipy.stats import chi2, norm, t

    if change.processes < 2:
        return math.inf
    if change.error == 0:
        return threshold
    freedom = change.processes - 1
    # The true error is taken for the one found; errors that sets estimate scatter about it.
    errors = change.error * np.sqrt(chi2.ppf((np.arange(_STEPS) + 0.5) / _STEPS, freedom) / freedom)

    def power(slowdown: float) -> float:
        powers = []
        for level in (alpha, alpha_alone):
            least = np.maximum(threshold, t.isf(level, freedom) * errors)
            powers.append(float(np.mean(norm.cdf((slowdown - least) / change.error))))
        return math.prod(powers)

    highest = threshold + 2 * t.isf(alpha, freedom) * float(errors[-1]) + 4 * change.error
    return float(brentq(lambda slowdown: power(slowdown) - POWER, 0.0, highest))
