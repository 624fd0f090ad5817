"""The timing gate: triples of processes until every verdict stands, and suspicions confirmed.

Whatever the first set of triples calls regressed is only suspected. A second set
of fresh processes then measures the suspects alone, and what it does not call
regressed as well fails no build.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.gate.judgement import (
    LEAST_TRIPLES,
    Known,
    Verdict,
    detectable,
    distrusted,
    judge,
)
from bench.gate.triple import BASE, CONTROL, HEAD, GateError, Sides, Triple, measure_triple
from bench.stats import Array

# Of the budget; the rest is for confirming what the first set suspects.
FIRST_SHARE = 0.6
# How often a set may lose a triple to a process that dies, before it is no accident.
DEATHS = 2


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


@dataclass
class _Set:
    """Triples that measured the same variants."""

    variants: Mapping[str, str]
    triples: list[Triple] = field(default_factory=list)
    deaths: int = 0

    def times_s(self, name: str) -> list[Array]:
        return [triple.times_s[name] for triple in self.triples if name in triple.times_s]

    @property
    def measured(self) -> list[str]:
        return [name for name in self.variants if self.times_s(name)]

    def known(self) -> dict[str, Known]:
        return {name: Known.of(self.times_s(name)) for name in self.measured}

    def verdicts(self, threshold: float) -> dict[str, Verdict]:
        known = self.known()
        return dict(zip(known, judge(list(known.values()), threshold), strict=True))

    def failure(self, name: str, role: int) -> str | None:
        return next(
            (t.failures[name, role] for t in self.triples if (name, role) in t.failures), None
        )


class Gate:
    """A comparison under way.

    Args:
        sides: base and head.
        variants: by their names, each as `bench.protocol.Hold` has it.
        threshold: the least slowdown that counts, as a fraction.
        budget_s: for all of it; a suspicion is confirmed even if that takes longer.
        seed: of all orders.
        tell: is given a line now and then.
    """

    def __init__(
        self,
        sides: Sides,
        variants: Mapping[str, str],
        threshold: float,
        budget_s: float,
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self._sides = sides
        self._variants = variants
        self._threshold = threshold
        self._budget_s = budget_s
        self._rng = random.Random(seed)
        self._tell = tell
        self._started = time.monotonic()
        self.triples: list[Triple] = []

    async def run(self) -> list[Finding]:
        """All verdicts, in the order of the variants.

        Raises:
            GateError: if a side's processes cannot start, or die again and again.
        """
        first = _Set(self._variants)
        await self._fill(first, FIRST_SHARE)
        verdicts = first.verdicts(self._threshold)
        suspects = [name for name, verdict in verdicts.items() if verdict == "regressed"]
        second = _Set({name: self._variants[name] for name in suspects})
        if suspects:
            self._tell(f"suspected: {', '.join(suspects)}; measuring again by fresh processes")
            await self._fill(second, 1.0)
        return self._findings(first, second)

    async def _fill(self, group: _Set, share: float) -> None:
        """Triples until all is decided, or the time is over.

        Args:
            group: is added to.
            share: of the budget that it may use while it suspects anything.
        """
        while True:
            number = len(group.triples) + 1
            self._tell(f"triple {number}: starting three processes")
            try:
                triple = await measure_triple(
                    self._sides, group.variants, self._rng, self._tell_of(number)
                )
            except GateError:
                group.deaths += 1
                if group.deaths >= DEATHS:
                    raise
                continue
            group.triples.append(triple)
            self.triples.append(triple)
            if not triple.times_s or (
                len(group.triples) >= LEAST_TRIPLES and self._is_over(group, share, triple.wall_s)
            ):
                return

    def _tell_of(self, number: int) -> Callable[[str], None]:
        return lambda what: self._tell(f"triple {number}: {what}")

    def _is_over(self, group: _Set, share: float, next_s: float) -> bool:
        verdicts = group.verdicts(self._threshold)
        self._tell(_summary(verdicts))
        if "undecided" not in verdicts.values():
            return True
        end_s = self._budget_s * (share if "regressed" in verdicts.values() else 1.0)
        return time.monotonic() - self._started + next_s > end_s

    def _findings(self, first: _Set, second: _Set) -> list[Finding]:
        known, confirmed = first.known(), second.known()
        verdicts, again = (group.verdicts(self._threshold) for group in (first, second))
        reaches = dict(zip(known, detectable(list(known.values())), strict=True))
        findings = []
        for name in self._variants:
            failed = _failed(name, first)
            if failed is not None:
                findings.append(failed)
                continue
            verdict, reason = verdicts[name], None
            if verdict == "regressed" and again.get(name) != "regressed":
                verdict = "undecided"
                reason = "suspected, and not confirmed by fresh processes"
            elif verdict == "undecided" and distrusted(known[name], self._threshold):
                reason = "two processes of the base differ by as much as would count"
            pooled = Known.of([*first.times_s(name), *second.times_s(name)])
            findings.append(
                Finding(name, verdict, pooled, reaches[name], reason, confirmed.get(name))
            )
        return findings


def _failed(name: str, group: _Set) -> Finding | None:
    """What is said of a variant that a side could not run.

    What the base alone lacks is new. What neither can run may be a slip in its name,
    or lack what it needs on this machine: that never passes.
    """
    head = group.failure(name, HEAD)
    base = group.failure(name, BASE) or group.failure(name, CONTROL)
    if head is not None and base is not None:
        return Finding(name, "not run", reason=f"neither side can run it: {head}")
    if head is not None:
        return Finding(name, "broken", reason=f"head cannot run it: {head}")
    if base is not None:
        return Finding(name, "not comparable", reason=f"the base cannot run it: {base}")
    return None


def _summary(verdicts: Mapping[str, Verdict]) -> str:
    counts = {verdict: list(verdicts.values()).count(verdict) for verdict in verdicts.values()}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def passes(findings: Sequence[Finding]) -> bool:
    """Whether nothing has regressed, and nothing that ran before fails now."""
    return all(finding.verdict not in ("regressed", "broken") for finding in findings)


def compares(findings: Sequence[Finding]) -> bool:
    """Whether anything could be compared at all, and nothing is asked for that cannot run."""
    verdicts = {finding.verdict for finding in findings}
    return "not run" not in verdicts and verdicts != {"not comparable"}
