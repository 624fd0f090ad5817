"""What is said of a variant in the end, and what all of it makes of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.gate.judgement import Known, Verdict
from bench.gate.triple import BASE, HEAD


@dataclass(frozen=True)
class Finding:
    """The verdict on a variant, and what it rests on.

    ``known`` is by all triples of both sets, None where nothing was measured.
    ``detectable`` is the smallest slowdown that would mostly have been found.
    ``reason`` says why nothing else could be said.
    """

    variant: str
    verdict: Verdict
    known: Known | None = None
    detectable: float | None = None
    reason: str | None = None
    confirmed: Known | None = None


def unmeasured(name: str, failures: Mapping[tuple[str, int], str]) -> Finding | None:
    """What is said of a variant that a side could not run; None if both could.

    What the base alone lacks is new. What neither can run may be a slip in its name,
    or lack what it needs on this machine: that never passes.
    """
    base, head = failures.get((name, BASE)), failures.get((name, HEAD))
    if head is not None and base is not None:
        return Finding(name, "not run", reason=f"neither side can run it: {head}")
    if head is not None:
        return Finding(name, "broken", reason=f"head cannot run it: {head}")
    if base is not None:
        return Finding(name, "not comparable", reason=f"the base cannot run it: {base}")
    return None


def passes(findings: Sequence[Finding]) -> bool:
    """Whether nothing has regressed, and nothing that ran before fails now."""
    return all(finding.verdict not in ("regressed", "broken") for finding in findings)


def compares(findings: Sequence[Finding]) -> bool:
    """Whether anything could be compared at all, and nothing is asked for that cannot run."""
    verdicts = {finding.verdict for finding in findings}
    return "not run" not in verdicts and verdicts != {"not comparable"}
