"""What is known so far: the records of a run, gathered by trial and by block.

Filled line by line while a run goes on, or all at once from a file; the
display, the planner and the table all read from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bench.breakdown import Signs, is_breakdown, stolen_share, suffices
from bench.grid import PlannedBlock
from bench.record import (
    Arm,
    Block,
    Counts,
    Environment,
    Memory,
    Outcome,
    Planned,
    Quantity,
    Record,
    Role,
    Round,
    Status,
    Visited,
)
from bench.stats import Array, Evidence, Interval, evidence, spread
from bench.trial import Trial

# Wall time is what a user waits; the process's CPU time is disturbed less by others.
Clock = Literal["wall", "cpu"]

# A failure of these kinds may not come again, so the next run tries anew.
TRANSIENT: tuple[Status, ...] = ("crashed", "timeout", "oom")


@dataclass
class VisitLog:
    """What one worker measured of one block."""

    block: Block
    rounds: list[Round] = field(default_factory=list)
    wall_s: float | None = None
    _trunk_s: tuple[int, float] = field(default=(0, math.inf), repr=False, compare=False)

    def samples_s(self, arm: Arm, clock: Clock = "wall") -> Array:
        """The arm's times, one per round; empty if it did not ride, or had no such clock."""
        if arm not in self.block.arms:
            return np.empty(0)
        place = self.block.arms.index(arm)
        samples = [
            round_.samples_s if clock == "wall" else round_.cpu_samples_s for round_ in self.rounds
        ]
        return np.array([times[place] for times in samples if times is not None])

    def ratios(self, arm: Arm, to: Arm | None = None, clock: Clock = "wall") -> Array:
        """The arm's times over those of another, or the trunk's, round by round."""
        return self.samples_s(arm, clock) / self.samples_s(to or self.block.arms[0], clock)

    @property
    def scatter(self) -> float | None:
        """Of the ratio of control to trunk, which are equal; None for fewer than two such pairs."""
        control = next((arm for arm in self.block.arms if arm.role == "control"), None)
        return None if control is None else spread(self.ratios(control))

    @property
    def trunk_s(self) -> float:
        """The median of the trunk's times, infinite before the first.

        Kept until the next round: every other visit of the trunk is held against it.
        """
        if self._trunk_s[0] != len(self.rounds):
            median_s = float(np.median(self.samples_s(self.block.arms[0])))
            self._trunk_s = (len(self.rounds), median_s)
        return self._trunk_s[1]

    @property
    def signs(self) -> Signs:
        """What it tells of the machine that it ran on, by all rounds so far."""
        workload = self.block.arms[0].trial.workload
        stolen_s = sum(round_.steal_s or 0.0 for round_ in self.rounds)
        threads = workload.threads if workload.device == "cpu" else 1
        stolen = stolen_share(stolen_s, self.measuring_s, threads)
        return Signs(self.scatter, self.trunk_s, stolen)

    @property
    def measuring_s(self) -> float:
        """From the start of the first round to the end of the last."""
        return self.rounds[-1].ended_s - self.rounds[0].started_s if self.rounds else 0.0

    @property
    def timed_s(self) -> float:
        """The part of it that was spent inside timed forwards."""
        samples_s = sum(sum(round_.samples_s) for round_ in self.rounds)
        return samples_s * self.block.forwards_per_sample


class Ledger:
    """All records of a run, by what they tell about."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.environments: list[Environment] = []
        self.planned: dict[Trial, Planned] = {}
        self.counts: dict[Trial, Counts] = {}
        self.memory: dict[Trial, Memory] = {}
        self.outcomes: dict[tuple[Trial, Quantity], Outcome] = {}
        self.visits: dict[str, VisitLog] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        match record:
            case Environment():
                self.environments.append(record)
            case Planned():
                self.planned[record.trial] = record
            case Counts():
                self.counts[record.trial] = record
            case Memory():
                self.memory[record.trial] = record
            case Outcome():
                self.outcomes[record.trial, record.quantity] = record
            case Block():
                self.visits[record.visit] = VisitLog(record)
            case Round():
                self.visits[record.visit].rounds.append(record)
            case Visited():
                if record.visit in self.visits:
                    self.visits[record.visit].wall_s = record.wall_s

    def blocks(self) -> dict[str, PlannedBlock]:
        """The blocks that any worker opened, by their keys, in order of their first visit."""
        found: dict[str, PlannedBlock] = {}
        for visit in self.visits.values():
            block = visit.block
            if block.block not in found:
                arms = (*block.arms, *block.absent)
                found[block.block] = PlannedBlock(arms[0].trial.setting, arms)
        return found

    def visits_of(self, block: str) -> list[VisitLog]:
        """The visits in which the block was measured: each is one process.

        Visits in a breakdown are set aside, as long as the others suffice.
        """
        logs = [log for log in self.visits.values() if log.block.block == block and log.rounds]
        clean = self._clean(logs)
        return clean if suffices(len(clean), len(logs)) else logs

    def is_broken(self, log: VisitLog) -> bool:
        """Whether the visit, which has rounds, shows a breakdown, by itself or beside others.

        A visit is known to be slow by the best one that its trunk has had in the same
        setting, in whatever block. So what is told of it may change with every
        visit that follows; and of a run all of whose visits are slow, as under a load that
        lasts from its start to its end, only the other signs tell.
        """
        return not self._clean([log])

    def is_disturbed(self, block: str) -> bool:
        """Whether what is known of the block comes from visits in a breakdown."""
        logs = self.visits_of(block)
        return len(self._clean(logs)) < len(logs)

    def _clean(self, logs: Sequence[VisitLog]) -> list[VisitLog]:
        """Those of some visits with one trunk that show no breakdown."""
        if not logs:
            return []
        best_s = min(log.trunk_s for log in self._all_visits_with(logs[0].block.arms[0]))
        return [log for log in logs if not is_breakdown(log.signs, best_s)]

    def _all_visits_with(self, trunk: Arm) -> list[VisitLog]:
        return [log for log in self.visits.values() if log.rounds and log.block.arms[0] == trunk]

    def failure(self, trial: Trial, quantity: Quantity) -> Outcome | None:
        """Why the trial has no such quantity, if it was tried and has none."""
        key: tuple[Trial, Quantity]
        if quantity == "counts":
            key, is_known = (trial.counted, quantity), trial.counted in self.counts
        elif quantity == "memory":
            key, is_known = (trial, quantity), trial in self.memory
        else:
            role: Role = "trunk" if trial == trial.trunk else "variant"
            key, is_known = (trial, quantity), self.block_of(trial, role) is not None
        return None if is_known else self.outcomes.get(key)

    def is_open(self, trial: Trial, quantity: Quantity) -> bool:
        """Whether nothing final is known of why the trial has no such quantity."""
        outcome = self.outcomes.get((trial, quantity))
        return outcome is None or outcome.status in TRANSIENT

    def trunk_visits(self, trial: Trial) -> list[VisitLog]:
        """The visits, of whatever block, in which the trial's trunk was measured."""
        logs = self._all_visits_with(Arm(trial.trunk, "trunk"))
        return self._clean(logs) or logs

    def own_visits(self, trial: Trial) -> tuple[Arm, list[VisitLog]]:
        """What the trial rode as, and the visits that have times of its own.

        Raises:
            ValueError: if it was never measured.
        """
        if trial == trial.trunk:
            arm, logs = Arm(trial, "trunk"), self.trunk_visits(trial)
        else:
            arm, block = Arm(trial, "variant"), self.block_of(trial)
            logs = [log for log in self.visits_of(block or "") if arm in log.block.arms]
        if not logs:
            raise ValueError(f"{trial.key} must have been measured")
        return arm, logs

    def block_of(self, trial: Trial, role: Role = "variant") -> str | None:
        """The block in which the trial was measured last."""
        arm = Arm(trial, role)
        for log in reversed(self.visits.values()):
            if log.rounds and arm in log.block.arms:
                return log.block.block
        return None

    def ratios(
        self, block: str, arm: Arm, to: Arm | None = None, clock: Clock = "wall"
    ) -> list[Array]:
        """Per process, the arm's paired ratios to another, or to the trunk."""
        logs = self.visits_of(block)
        needed = {arm, to or arm}
        return [log.ratios(arm, to, clock) for log in logs if needed <= set(log.block.arms)]

    def evidence(self, block: str, arm: Arm, clock: Clock = "wall") -> Evidence | None:
        """What is known of the arm's paired ratio to the trunk; None while nothing is measured."""
        return evidence(self.ratios(block, arm, clock=clock))

    def overhead(self, block: str, arm: Arm, clock: Clock = "wall") -> Interval | None:
        """The arm's paired overhead as a fraction, or None while nothing is measured."""
        ratio = self.evidence(block, arm, clock)
        return None if ratio is None else ratio.interval().scaled(1.0, -1.0)

    def differ(self, one: Trial, other: Trial) -> bool:
        """Whether two measured variants of a setting can be told apart.

        Where they met in the same rounds, by the ratio of the one to the other
        there; else by their overheads, whose intervals then must not overlap.
        """
        first, second = Arm(one, "variant"), Arm(other, "variant")
        block, block_2 = self.block_of(one), self.block_of(other)
        if block is None or block_2 is None:
            raise ValueError(f"{one.key} and {other.key} must both be measured")
        if block == block_2:
            ratio = evidence(self.ratios(block, first, second))
            if ratio is not None:
                return not ratio.interval().covers(1.0)
        overhead, overhead_2 = self.overhead(block, first), self.overhead(block_2, second)
        assert overhead is not None  # the blocks were found by their rounds
        assert overhead_2 is not None
        return not overhead.overlaps(overhead_2)
