"""What is said of a variant in the end, and what all of it makes of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.gate.judgement import Known, Verdict
from bench.gate.triple import BASE, HEAD, Failure


@dataclass(frozen=True)
class Finding:
    """The verdict on a variant, and what it rests on.

    ``known`` is by all triples of both sets, None where nothing was measured.
    ``detectable`` is the smallest slowdown that would mostly have been found.
    ``reason`` says why nothing else could be said. What ``is_new`` runs on head, and the
    base has none of that name.
    """

    variant: str
    verdict: Verdict
    known: Known | None = None
    detectable: float | None = None
    reason: str | None = None
    confirmed: Known | None = None
    is_new: bool = False


def unmeasured(name: str, failures: Mapping[tuple[str, int], Failure]) -> Finding | None:
    """What is said of a variant that a side could not run; None if both could.

    What the base alone cannot run is new if the base has no such thing. What neither can
    run may be a slip in its name, or lack what it needs on this machine: that never passes.
    """
    base, head = failures.get((name, BASE)), failures.get((name, HEAD))
    if head is not None and base is not None:
        return Finding(name, "not run", reason=f"neither side can run it: {head.reason}")
    if head is not None:
        return Finding(name, "broken", reason=f"head cannot run it: {head.reason}")
    if base is not None:
        reason = f"the base cannot run it: {base.reason}"
        return Finding(name, "not comparable", reason=reason, is_new=base.lacking)
    return None


def passes(findings: Sequence[Finding]) -> bool:
    """Whether nothing has regressed, and nothing that ran before fails now."""
    return all(finding.verdict not in ("regressed", "broken") for finding in findings)


def compares(findings: Sequence[Finding]) -> bool:
    """Whether all that there is to compare could be, or some; nothing asked for cannot run.

    Where all is new there is nothing, and whoever adds the first variant must pass. A
    base that has variants and can run none says nothing of head.
    """
    verdicts = {finding.verdict for finding in findings}
    return "not run" not in verdicts and (verdicts != {"not comparable"} or all_new(findings))


def all_new(findings: Sequence[Finding]) -> bool:
    """Whether the base has none of what was asked for."""
    return all(finding.is_new for finding in findings)
