"""How often intervals cover the truth, and verdicts are right, counted over simulated runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.files import replacing
from bench.method.intervals import CANDIDATES, IN_USE, Candidate
from bench.method.noise import NOISES, Noise, ratios
from bench.method.shares import share
from bench.method.stopping import BLOCKS, FIXED, FULL_BLOCK, LONE, Rule, stopped
from bench.stats import Array, Evidence
from bench.verdict import judge

TABLE = "coverage.csv"
# Of a visit in the committed CPU run, about.
ROUNDS = 20
EFFECTS = (0.0, 0.005, 0.012)
# More than was ever seen: what a process effect does that drowns the noise of rounds.
LARGE_EFFECT = 0.03
# A slowdown that a run should find.
SLOWDOWN = 1.02
# How the medians of two arms of a block correlate, since both are ratios to one trunk.
BETWEEN_ARMS = 0.5


@dataclass(frozen=True)
class Cell:
    """A kind of noise with a process effect, as a fraction, and the rules tried on it."""

    noise: Noise
    process_effect: float
    rules: tuple[Rule, ...]

    def draw(self, runs: int, rule: Rule, rng: np.random.Generator) -> Array:
        """As many runs as asked for, of as many arms and processes as the rule may take.

        Returns:
            What `stopped` takes: of an arm by itself all rounds, of blocks their medians.
        """
        return self._blocks(runs, rule, rng) if rule.arms > 1 else self._lone(runs, rule, rng)

    def _lone(self, runs: int, rule: Rule, rng: np.random.Generator) -> Array:
        drawn = ratios(self.noise, self.process_effect, rng, (runs, rule.most, ROUNDS))
        return drawn[:, None, :, None]

    def _blocks(self, runs: int, rule: Rule, rng: np.random.Generator) -> Array:
        """Arms share what their trunk does: its effects in part, its noise in some processes.

        Effects are normal, so that a sum of two with the right weights is as one of
        them. Of the noise each arm has, in so many processes that two correlate as
        they should, that of one arm that is in no block. So every arm by itself has
        noise and effects of the cell's kind, unchanged.
        """
        arms, processes = rule.arms + 1, rule.most
        effects = self.noise.effects(rng, (runs * arms, processes)).reshape(runs, arms, -1)
        own, trunks = effects[:, :-1], effects[:, -1:]
        shared = math.sqrt(BETWEEN_ARMS) * trunks + math.sqrt(1 - BETWEEN_ARMS) * own
        noise = self.noise.draw(rng, (runs * arms, processes, ROUNDS))
        shown = [round(ROUNDS * look / rule.looks) for look in range(1, rule.looks + 1)]
        medians = np.stack([np.median(noise[..., :rounds], axis=2) for rounds in shown], axis=2)
        medians = medians.reshape(runs, arms, processes, rule.looks)
        is_trunks = rng.random(own.shape) < math.sqrt(BETWEEN_ARMS)
        medians = np.where(is_trunks[..., None], medians[:, -1:], medians[:, :-1])
        said = (1 + self.process_effect * shared[..., None]) * (1 + medians)
        return np.asarray(said[..., None])


# Without effects, no kind of them differs from another.
CELLS = tuple(
    Cell(noise, effect, FIXED if effect == LARGE_EFFECT else (*BLOCKS, *LONE, *FIXED))
    for noise in NOISES
    for effect in (*EFFECTS, LARGE_EFFECT)
    if effect or noise.is_independent
)


def coverage(
    runs: int, cells: Sequence[Cell], tell: Callable[[str], object], seed: int = 0
) -> pd.DataFrame:
    """A row for every cell, rule and candidate; in blocks, for the candidate in use only.

    ``coverage`` is the share of the ``n`` runs whose interval holds the truth,
    with its exact (Clopper and Pearson's) 95 % interval; ``half_width_pct`` and
    ``processes`` are means. Of full blocks, ``false_alarms`` is the share called
    slower where the truth is no overhead, ``found`` that where it is
    ``SLOWDOWN``, each judged alone.

    Args:
        runs: simulated for each cell and rule; every candidate meets the same.
        cells: what is simulated.
        tell: gets a line before each cell.
        seed: of the noise.
    """
    rows = []
    for place, cell in enumerate(cells, start=1):
        effect_pct = 100 * cell.process_effect
        tell(f"{place}/{len(cells)}  {cell.noise.name}, process effect {effect_pct:g} %")
        for number, rule in enumerate(cell.rules):
            values = cell.draw(runs, rule, np.random.default_rng((seed, place, number)))
            for candidate in CANDIDATES if rule.arms == 1 else (IN_USE,):
                row = {
                    "noise": cell.noise.name,
                    "process_effect_pct": effect_pct,
                    "rule": rule.name,
                    "candidate": candidate.name,
                }
                rows.append(row | _tried(values, candidate, rule))
    return pd.DataFrame(rows)


def write(frame: pd.DataFrame, folder: Path) -> Iterator[Path]:
    """The table and its picture; their paths, one by one."""
    from bench.method import figure, pictures

    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / TABLE) as draft:
        frame.to_csv(draft, index=False)
    yield folder / TABLE
    yield from figure.save(frame, folder)
    yield pictures.note(folder, figure.STEM, frame, figure.title(frame))


def _tried(values: Array, candidate: Candidate, rule: Rule) -> dict[str, object]:
    known = stopped(values, candidate, rule)
    intervals = [ratio.interval() for ratio in known]
    covered = share(sum(interval.covers(1.0) for interval in intervals), len(known))
    counted: dict[str, object] = {
        "n": covered.n,
        "covered": covered.count,
        "coverage": covered.value,
        "coverage_low": covered.low,
        "coverage_high": covered.high,
        "half_width_pct": 100 * float(np.mean([interval.half_width for interval in intervals])),
        "processes": float(np.mean([ratio.processes for ratio in known])),
    }
    if rule.arms == FULL_BLOCK:
        counted["false_alarms"] = _slower(known)
        counted["found"] = _slower(stopped(SLOWDOWN * values, candidate, rule))
    return counted


def _slower(known: list[Evidence]) -> float:
    return float(np.mean([judge([ratio]) == ["slower"] for ratio in known]))
