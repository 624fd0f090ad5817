"""Whether a change is one, and a regression: verdicts on what several triples of processes say.

A triple is a process of the base, one of head, and a second one of the base,
the control. Head is held against both of the base, and the control against the
first: what two processes of the same source differ by is no regression. A
*regressed* variant is slower than the threshold and beyond doubt slower at all;
*improved* is the mirror image; *unchanged* is beyond doubt not slower than the
threshold. Doubt is measured by the false-discovery rate over the grid, as in
`bench.verdict`, at a rate that is not small: what is suspected is measured again
by other processes before it counts.
"""

from __future__ import annotations

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


def judge(known: Sequence[Known], threshold: float) -> list[Verdict]:
    """The verdict on each variant, all of them one grid.

    Args:
        known: of each variant.
        threshold: the least slowdown that counts, as a fraction.
    """
    changes = [each.change for each in known]
    slower = discovered([change.p_above(1.0) for change in changes], FALSE_DISCOVERY_RATE)
    faster = discovered([change.p_below(1.0) for change in changes], FALSE_DISCOVERY_RATE)
    within = discovered(
        [change.p_below(1.0 + threshold) for change in changes], FALSE_DISCOVERY_RATE
    )
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


def detectable(known: Sequence[Known]) -> list[float]:
    """Of each variant, the smallest slowdown that would mostly have been found, as a fraction.

    Were it the only one that is slower; infinite while one triple alone has measured.
    """
    rate = FALSE_DISCOVERY_RATE / max(1, len(known))
    return [each.change.detectable(rate, POWER) for each in known]
