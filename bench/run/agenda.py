"""Which blocks still want visits, and how precise what they measured is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.grid import PlannedBlock
from bench.ledger import Ledger
from bench.record import Arm
from bench.run.schedule import Target, is_precise, preparing_s, spent_s
from bench.stats import Evidence, Interval


class Agenda:
    """What the latency phase of a run has left to do.

    A block wants visits while an overhead of it is not precise, or comes from a
    breakdown, and time is left. Whatever the time, it wants one in each run for a trial that has no
    round there though nothing final is known of why.
    """

    def __init__(self, ledger: Ledger, blocks: Sequence[PlannedBlock], target: Target) -> None:
        self._ledger = ledger
        self._blocks = blocks
        self._target = target
        self._known: dict[str, dict[Arm, Evidence]] = {}
        self._disturbed: dict[str, bool] = {}
        self._visited: set[str] = set()
        self._given_up: set[str] = set()
        self.deadline = time.monotonic() + target.budget_s - spent_s(ledger, blocks)
        for block in blocks:
            self.look(block)

    def left(self, start_s: float = 0.0) -> list[PlannedBlock]:
        """The blocks that want a visit now; before one, a worker takes ``start_s`` to start."""
        starts_at = time.monotonic() + start_s
        return [block for block in self._blocks if self._wants_visit(block, starts_at)]

    def look(self, block: PlannedBlock) -> None:
        """Take note of what is known of a block's arms, by all rounds so far."""
        found = {arm: self._ledger.evidence(block.key, arm) for arm in block.judged}
        self._known[block.key] = {arm: ratio for arm, ratio in found.items() if ratio is not None}
        self._disturbed[block.key] = self._ledger.is_disturbed(block.key)

    def overheads(self, block: PlannedBlock) -> dict[Arm, Interval]:
        """What the last look has found, control included."""
        known = self._known[block.key]
        return {arm: ratio.interval().scaled(1.0, -1.0) for arm, ratio in known.items()}

    def is_precise(self, block: PlannedBlock) -> bool:
        """Whether every interval that the last look has found is as narrow as asked."""
        known = self._known[block.key]
        return bool(known) and self._precise_arms(block) == len(known)

    @property
    def precise_arms(self) -> int:
        """How many intervals are as narrow as asked, in all blocks."""
        return sum(self._precise_arms(block) for block in self._blocks)

    def visited(self, block: PlannedBlock) -> None:
        """The block had a visit that came to its end."""
        self._visited.add(block.key)
        for each in self._blocks:
            if each.setting == block.setting:  # beside this visit, earlier ones may look slow
                self.look(each)

    def give_up(self, block: PlannedBlock) -> None:
        """No more visits of the block in this run."""
        self._given_up.add(block.key)

    def _wants_visit(self, block: PlannedBlock, starts_at: float) -> bool:
        if block.key in self._given_up:
            return False
        if block.key not in self._visited and self._may_yet_ride(block):
            return True
        if not self._ledger.visits_of(block.key) or self.is_precise(block):
            return False
        return starts_at + preparing_s(self._ledger, block) < self.deadline

    def _may_yet_ride(self, block: PlannedBlock) -> bool:
        """Whether an arm has no round there, though nothing final is known of why."""
        rode = {arm for log in self._ledger.visits_of(block.key) for arm in log.block.arms}
        return any(
            arm not in rode and self._ledger.is_open(arm.trial, "latency")
            for arm in block.arms
            if arm.role != "eager"  # the block is not there for it
        )

    def _precise_arms(self, block: PlannedBlock) -> int:
        """How many arms have a narrow interval, each from enough processes in no breakdown."""
        if self._disturbed[block.key]:
            return 0
        known = self._known[block.key].values()
        return sum(is_precise(ratio, self._target.precision) for ratio in known)
