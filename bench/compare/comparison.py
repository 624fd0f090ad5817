"""Two trials of a run, or two runs, against each other: B as a change from A.

Times are compared as ratios only. Two trials that rode in one block met in the
same rounds, and the ratio is taken there. What never met is compared by its
overheads, each over the trunk of its own block. Absolute times of two runs are
never compared: nobody knows what the machine did in between. What would not
mean anything is refused, and the reason names the field. Counts are exact, and
need neither rounds nor one setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.compare.comparable import check_environments, other_setting
from bench.doubt import doubtful_blocks
from bench.environment import Source
from bench.ledger import Ledger
from bench.record import Arm
from bench.stats import Array, Evidence, Interval, evidence, quotient
from bench.trial import Trial
from bench.verdict import Verdict, detectable, judge

COUNTED = (
    "params", "se_params", "macs", "elementwise_ops", "ideal_bytes", "operators", "live_peak_bytes",
)  # fmt: skip
# Those of the operators that an eager forward calls; what compilers and runtimes make has others.
OF_OPERATORS = ("ideal_bytes", "operators", "live_peak_bytes")
# Measured once, and good to about a megabyte.
WEIGHED = ("resident_growth_bytes", "device_peak_bytes")
TRUNKS_OF_TWO_RUNS = "absolute times of two runs never are"


@dataclass(frozen=True)
class CountChange:
    """A count of A and of B; None where it is not known."""

    name: str
    before: int | None
    after: int | None

    @property
    def differs(self) -> bool:
        """Whether it is known of both, and not the same."""
        return None not in (self.before, self.after) and self.before != self.after

    @property
    def percent(self) -> float | None:
        """By how much B is more; None where that has no meaning."""
        if not self.before or self.after is None:
            return None
        return 100 * (self.after - self.before) / self.before


@dataclass(frozen=True)
class TimeChange:
    """The time of B over that of A.

    ``rounds``, ``processes`` and ``overheads`` (fractions; None of a trunk) are
    of A and of B; rounds and processes of a pair are the common ones.
    ``doubt`` says why nothing is decided by it, whatever its interval.
    """

    ratio: Evidence
    is_paired: bool
    rounds: tuple[int, int]
    processes: tuple[int, int]
    overheads: tuple[Interval | None, Interval | None]
    doubt: str | None


@dataclass(frozen=True)
class Pair:
    """A trial of A beside one of B; where no time is compared, ``reason`` says why.

    ``detectable`` is the smallest slowdown, as a fraction, that would mostly
    have been found beside the other pairs; infinite where nothing bounds it.
    """

    a: Trial
    b: Trial
    counts: tuple[CountChange, ...]
    time: TimeChange | None = None
    verdict: Verdict | None = None
    detectable: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class TrialComparison:
    """Two trials of one run; ``refusal`` says why their times cannot be compared, if so."""

    pair: Pair
    refusal: str | None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (self.pair,)


@dataclass(frozen=True)
class RunComparison:
    """Two runs: a pair for each trial of both, and the trials that only one of them has."""

    pairs: tuple[Pair, ...]
    only_a: tuple[Trial, ...]
    only_b: tuple[Trial, ...]
    sources: tuple[Source, Source]


def known_trials(ledger: Ledger) -> list[Trial]:
    """What a run planned or measured, in the order of its records.

    The eager trunk beside another path rides along only, and is not measured in its own setting.
    """
    riding = (
        arm.trial for log in ledger.visits.values() for arm in log.block.arms if arm.role != "eager"
    )
    return list(dict.fromkeys([*ledger.planned, *riding]))


def compare_trials(ledger: Ledger, a: Trial, b: Trial) -> TrialComparison:
    """Trial B against trial A of one run.

    Raises:
        ValueError: if they are the same.
    """
    if a == b:
        raise ValueError(f"A and B must be two trials, got {a.key} twice")
    doubts = doubtful_blocks(ledger)
    side_a, side_b = _Side(ledger, a, doubts), _Side(ledger, b, doubts)
    pair = Pair(a, b, _counts(side_a, side_b, COUNTED + WEIGHED))
    refusal = other_setting(a, b)
    reason = refusal or side_a.missing or side_b.missing
    if reason:
        return TrialComparison(replace(pair, reason=reason), refusal)
    time = _paired(side_a, side_b) or _unpaired(side_a, side_b)
    (judged,) = _judged([replace(pair, time=time)])
    return TrialComparison(judged, None)


def compare_runs(a: Ledger, b: Ledger) -> RunComparison:
    """Run B against run A, trial by trial; all verdicts are judged as one grid.

    Raises:
        ValueError: if machines, or torch's version or flags, differ.
    """
    check_environments(a.environments, b.environments)
    trials_a, trials_b = known_trials(a), known_trials(b)
    doubts_a, doubts_b = doubtful_blocks(a), doubtful_blocks(b)
    pairs = [
        _pair_of_runs(_Side(a, trial, doubts_a), _Side(b, trial, doubts_b))
        for trial in trials_a
        if trial in trials_b
    ]
    return RunComparison(
        pairs=tuple(_judged(pairs)),
        only_a=tuple(trial for trial in trials_a if trial not in trials_b),
        only_b=tuple(trial for trial in trials_b if trial not in trials_a),
        sources=(a.environments[0].source, b.environments[0].source),
    )


@dataclass(frozen=True)
class _Side:
    """A trial in its run; ``doubts`` says of which blocks of the run nothing counts, and why."""

    run: Ledger
    trial: Trial
    doubts: Mapping[str, str]

    @property
    def arm(self) -> Arm:
        return Arm(self.trial, "trunk" if self.trial == self.trial.trunk else "variant")

    @property
    def block(self) -> str | None:
        return self.run.block_of(self.trial, self.arm.role)

    @property
    def missing(self) -> str | None:
        """Why there is no time, if so."""
        if self.block is not None:
            return None
        failure = self.run.failure(self.trial, "latency")
        why = "" if failure is None else f" ({failure.status}: {failure.reason})"
        return f"{self.trial.variant.se.label} was not measured{why}"

    @property
    def known(self) -> dict[str, int]:
        """What was counted or weighed of it, by name."""
        records = (self.run.counts.get(self.trial.counted), self.run.memory.get(self.trial))
        hidden = () if self.trial.path.calls_operators else OF_OPERATORS
        return {
            name: value
            for record in records
            for name in COUNTED + WEIGHED
            if name not in hidden and (value := getattr(record, name, None)) is not None
        }

    def overhead(self, block: str) -> Interval | None:
        return None if self.arm.role == "trunk" else self.run.overhead(block, self.arm)


def _pair_of_runs(a: _Side, b: _Side) -> Pair:
    pair = Pair(a.trial, b.trial, _counts(a, b, COUNTED))
    if a.arm.role == "trunk":
        return replace(pair, reason=TRUNKS_OF_TWO_RUNS)
    missing = _of_each({"A": a.missing, "B": b.missing})
    return replace(pair, reason=missing) if missing else replace(pair, time=_unpaired(a, b))


def _paired(a: _Side, b: _Side) -> TimeChange | None:
    """In the rounds that both rode in; None if they never met."""
    arms = {a.arm, b.arm}
    common = [
        log.block.block
        for log in a.run.visits.values()
        if log.rounds and arms <= set(log.block.arms)
    ]
    if not common:
        return None
    block = common[-1]
    ratios = a.run.ratios(block, b.arm, to=a.arm)
    ratio = evidence(ratios)
    if ratio is None:
        return None  # the only visits that they share were set aside
    return TimeChange(
        ratio=ratio,
        is_paired=True,
        rounds=(_rounds(ratios), _rounds(ratios)),
        processes=(ratio.processes, ratio.processes),
        overheads=(a.overhead(block), b.overhead(block)),
        doubt=a.doubts.get(block),
    )


def _unpaired(a: _Side, b: _Side) -> TimeChange:
    """The ratio of what each takes over the trunk of its own block."""
    block_a, block_b = a.block, b.block
    assert block_a is not None  # what was not measured was told apart before
    assert block_b is not None
    ratios_a, ratios_b = a.run.ratios(block_a, a.arm), b.run.ratios(block_b, b.arm)
    over_a, over_b = evidence(ratios_a), evidence(ratios_b)
    assert over_a is not None  # the blocks were found by their rounds
    assert over_b is not None
    return TimeChange(
        ratio=quotient(over_b, over_a),
        is_paired=False,
        rounds=(_rounds(ratios_a), _rounds(ratios_b)),
        processes=(over_a.processes, over_b.processes),
        overheads=(a.overhead(block_a), b.overhead(block_b)),
        doubt=_of_each({"A": a.doubts.get(block_a), "B": b.doubts.get(block_b)}),
    )


def _judged(pairs: Sequence[Pair]) -> list[Pair]:
    """With the verdict on each that has a time; what is in doubt is undecided."""
    ratios = [pair.time.ratio for pair in pairs if pair.time]
    said = iter(zip(judge(ratios), detectable(ratios), strict=True))
    judged = []
    for pair in pairs:
        verdict, reach = next(said) if pair.time else (None, None)
        if pair.time is not None and pair.time.doubt is not None:
            verdict = "undecided"
        judged.append(replace(pair, verdict=verdict, detectable=reach))
    return judged


def _counts(a: _Side, b: _Side, names: Sequence[str]) -> tuple[CountChange, ...]:
    before, after = a.known, b.known
    return tuple(CountChange(name, before.get(name), after.get(name)) for name in names)


def _of_each(reasons: Mapping[str, str | None]) -> str | None:
    return "; ".join(f"in {side} {reason}" for side, reason in reasons.items() if reason) or None


def _rounds(ratios: Sequence[Array]) -> int:
    return sum(map(len, ratios))
