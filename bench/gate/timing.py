"""The timing gate: triples of processes until every verdict stands, and suspicions confirmed.

Whatever the first set of triples calls regressed is only suspected. A second set
of fresh processes then measures the suspects alone, and what it does not call
regressed as well fails no build. What one process cannot run is only suspected
too, until a fresh one that holds nothing else cannot.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from bench.gate.finding import Finding, unmeasured
from bench.gate.judgement import (
    LEAST_TRIPLES,
    Known,
    Verdict,
    detectable,
    distrusted,
    judge,
)
from bench.gate.triple import (
    BASE,
    HEAD,
    ROLES,
    DiedError,
    Failure,
    GateError,
    Sides,
    Triple,
    Turn,
    hold_apart,
    measure_triple,
    turns,
)
from bench.stats import Array

T = TypeVar("T")

# Of the budget; the rest is for confirming what the first set suspects.
FIRST_SHARE = 0.6
# So many triples of a set should find room, so that three are not all that there can be: by them
# alone, one in twenty slowdowns of 5 % is missed where processes differ by a percent.
ROOM_FOR = 4
# How often to try what a process that died has interrupted: once may be an accident.
TRIES = 2
_NEVER_TOGETHER = "both sides can run it alone, and one could not among the others"


@dataclass
class _Set:
    """Triples that measured the same variants."""

    variants: Mapping[str, str]
    triples: list[Triple] = field(default_factory=list)

    @property
    def look(self) -> int:
        """How often there has been a look at the verdicts: at each triple once there are enough."""
        return max(1, len(self.triples) - LEAST_TRIPLES + 1)

    def times_s(self, name: str) -> list[Array]:
        return [triple.times_s[name] for triple in self.triples if name in triple.times_s]

    @property
    def measured(self) -> list[str]:
        return [name for name in self.variants if self.times_s(name)]

    def known(self) -> dict[str, Known]:
        return {name: Known.of(self.times_s(name)) for name in self.measured}

    def verdicts(self, threshold: float) -> dict[str, Verdict]:
        known = self.known()
        return dict(zip(known, judge(list(known.values()), threshold, self.look), strict=True))

    def reaches(self, threshold: float) -> dict[str, float]:
        """What would have failed a build, by variant."""
        known = self.known()
        return dict(zip(known, detectable(list(known.values()), threshold, self.look), strict=True))

    @property
    def failures(self) -> dict[tuple[str, int], Failure]:
        """What a process could not run, by variant and by side, of which the base has two."""
        return {
            (name, HEAD if role == HEAD else BASE): failure
            for triple in self.triples
            for (name, role), failure in triple.failures.items()
        }


class Gate:
    """A comparison under way.

    Args:
        sides: base and head.
        variants: by their names, each as `bench.protocol.Hold` has it.
        threshold: the least slowdown that counts, as a fraction.
        budget_s: for all that is measured; confirming what is suspected late may take it
            beyond, by as much as the second set's share.
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
        self._rng = Random(seed)
        self._tell = tell
        self._started_s = time.monotonic()
        self.triples: list[Triple] = []
        self.accidents: list[str] = []

    async def run(self) -> list[Finding]:
        """All verdicts, in the order of the variants.

        ``triples`` and ``accidents``, a line each, have been filled then.

        Raises:
            GateError: if a side's processes cannot start, or die again and again.
        """
        failures = await self._prepared()
        runnable = [n for n in self._variants if (n, BASE) not in failures]
        first = self._set(name for name in runnable if (name, HEAD) not in failures)
        self._started_s = time.monotonic()
        if first.variants:
            await self._fill(first, FIRST_SHARE)
        verdicts = first.verdicts(self._threshold)
        second = self._set(name for name, verdict in verdicts.items() if verdict == "regressed")
        unconfirmed = "suspected, and not confirmed by fresh processes"
        if second.variants:
            suspects = ", ".join(second.variants)
            self._tell(f"suspected: {suspects}; measuring again by fresh processes")
            try:
                await self._fill(second, 1 - FIRST_SHARE)
            except GateError as error:
                unconfirmed = f"suspected, and confirming it failed: {error}"
                self._happened(f"{suspects} could not be measured again: {error}")
        failures |= await self._failing_alone({**first.failures, **second.failures})
        return self._findings(first, second, failures, unconfirmed)

    def _set(self, names: Iterable[str]) -> _Set:
        return _Set({name: self._variants[name] for name in names})

    async def _prepared(self) -> dict[tuple[str, int], Failure]:
        """What a side cannot run; what both can is built then, in no triple's time."""
        self._tell("preparing: a process of the base and one of head build what they need")
        found = await self._in_spite_of_deaths(
            lambda: hold_apart(self._sides, self._variants, (BASE, HEAD))
        )
        both = {
            name for name in self._variants if (name, BASE) in found and (name, HEAD) in found
        }  # of these it does not matter whether it was an accident of one
        known = {key: reason for key, reason in found.items() if key[0] in both}
        return known | await self._failing_alone(
            {key: reason for key, reason in found.items() if key[0] not in both}
        )

    async def _failing_alone(
        self, suspected: Mapping[tuple[str, int], Failure]
    ) -> dict[tuple[str, int], Failure]:
        """Of what a process could not run, what a fresh one cannot that holds nothing else."""
        failing = {}
        for (name, role), failure in suspected.items():
            self._tell(f"{name} failed in a process of {ROLES[role]}; trying it alone")
            try:
                alone = await hold_apart(self._sides, {name: self._variants[name]}, (role,))
            except GateError as error:
                alone = {(name, role): Failure(str(error))}
            failing.update(alone)
            if not alone:
                self._happened(
                    f"{name} failed in a process of {ROLES[role]}, not alone: {failure.reason}"
                )
        return failing

    async def _fill(self, group: _Set, share: float) -> None:
        """Triples until all is decided, or the time is over; a few at least.

        Args:
            group: is added to.
            share: of the budget that is the set's, from now on; while it suspects nothing
                it may have what is left of all.
        """
        now_s, room_s = time.monotonic(), share * self._budget_s
        suspecting_s = now_s + room_s
        end_s = max(suspecting_s, self._started_s + self._budget_s)
        for turn in turns(self._rng.getrandbits(32), room_s / ROOM_FOR):
            triple = await self._measured(group, turn)
            group.triples.append(triple)
            self.triples.append(triple)
            if not triple.times_s:
                return
            if len(group.triples) < LEAST_TRIPLES:
                continue
            verdicts = group.verdicts(self._threshold)
            self._tell(_summary(verdicts))
            until_s = suspecting_s if "regressed" in verdicts.values() else end_s
            is_over = time.monotonic() + triple.wall_s > until_s
            if is_over or "undecided" not in verdicts.values():
                return

    async def _measured(self, group: _Set, turn: Turn) -> Triple:
        number = len(self.triples) + 1

        def tell(what: str) -> None:
            self._tell(f"triple {number}: {what}")

        tell("starting three processes")
        return await self._in_spite_of_deaths(
            lambda: measure_triple(self._sides, group.variants, turn, tell)
        )

    async def _in_spite_of_deaths(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What it returns, at the second try if a process dies at the first."""
        for _ in range(TRIES - 1):
            try:
                return await attempt()
            except DiedError as death:
                self._happened(f"{death}; what it had measured was measured again")
        return await attempt()

    def _happened(self, accident: str) -> None:
        self._tell(f"note: {accident}")
        self.accidents.append(accident)

    def _findings(
        self,
        first: _Set,
        second: _Set,
        failures: Mapping[tuple[str, int], Failure],
        unconfirmed: str,
    ) -> list[Finding]:
        known, confirmed = first.known(), second.known()
        verdicts, again = (group.verdicts(self._threshold) for group in (first, second))
        reaches = first.reaches(self._threshold)
        findings = []
        for name in self._variants:
            failed = unmeasured(name, failures)
            if failed is not None or name not in known:
                findings.append(failed or Finding(name, "undecided", reason=_NEVER_TOGETHER))
                continue
            verdict, reason = verdicts[name], None
            if verdict == "regressed" and again.get(name) != "regressed":
                verdict, reason = "undecided", unconfirmed
            elif verdict == "undecided" and distrusted(known[name], self._threshold):
                reason = "two processes of the base differ by as much as would count"
            pooled = Known.of([*first.times_s(name), *second.times_s(name)])
            findings.append(
                Finding(name, verdict, pooled, reaches[name], reason, confirmed.get(name))
            )
        return findings


def _summary(verdicts: Mapping[str, Verdict]) -> str:
    counts = {verdict: list(verdicts.values()).count(verdict) for verdict in verdicts.values()}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
