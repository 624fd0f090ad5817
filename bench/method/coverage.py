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
from bench.method.stopping import BLOCKS, FIXED, FULL_BLOCK, LONE, Rule, stopped
from bench.stats import LEVEL, Array, Evidence
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

    def lone(self, runs: int, rng: np.random.Generator) -> Array:
        """Runs of one arm: runs, 1, processes, rounds."""
        return self._draw(runs, 1, rng)

    def blocks(self, runs: int, rng: np.random.Generator) -> Array:
        """Runs of full blocks: runs, arms, processes, and for each process its median only.

        Arms share what their trunk does: each has, in so many processes that two
        correlate as they should, the ratios of one arm that is in no block. So
        every arm by itself is noise of its kind, unchanged.
        """
        medians = np.median(self._draw(runs, FULL_BLOCK + 1, rng), axis=3, keepdims=True)
        own, trunks = medians[:, :-1], medians[:, -1:]
        return np.where(rng.random(own.shape) < math.sqrt(BETWEEN_ARMS), trunks, own)

    def _draw(self, runs: int, arms: int, rng: np.random.Generator) -> Array:
        most = max(rule.most for rule in self.rules)
        drawn = ratios(self.noise, self.process_effect, rng, (runs * arms, most, ROUNDS))
        return drawn.reshape(runs, arms, most, ROUNDS)


CELLS = tuple(
    Cell(noise, effect, FIXED if effect == LARGE_EFFECT else (*BLOCKS, *LONE, *FIXED))
    for noise in NOISES
    for effect in (*EFFECTS, LARGE_EFFECT)
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
        runs: simulated in each cell; every candidate meets the same.
        cells: what is simulated.
        tell: gets a line before each cell.
        seed: of the noise.
    """
    rows = []
    for place, cell in enumerate(cells, start=1):
        effect_pct = 100 * cell.process_effect
        tell(f"{place}/{len(cells)}  {cell.noise.name}, process effect {effect_pct:g} %")
        rng = np.random.default_rng((seed, place))
        lone = cell.lone(runs, rng)
        blocks = cell.blocks(runs, rng) if any(rule.arms > 1 for rule in cell.rules) else lone
        for rule in cell.rules:
            for candidate in CANDIDATES if rule.arms == 1 else (IN_USE,):
                row = {
                    "noise": cell.noise.name,
                    "process_effect_pct": effect_pct,
                    "rule": rule.name,
                    "candidate": candidate.name,
                }
                rows.append(row | _tried(lone if rule.arms == 1 else blocks, candidate, rule))
    return pd.DataFrame(rows)


def write(frame: pd.DataFrame, folder: Path) -> Iterator[Path]:
    """The table and its picture; their paths, one by one."""
    from bench.method import figure

    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / TABLE) as draft:
        frame.to_csv(draft, index=False)
    yield folder / TABLE
    yield from figure.save(frame, folder)


def _tried(values: Array, candidate: Candidate, rule: Rule) -> dict[str, object]:
    from scipy.stats import binomtest  # takes long to import

    known = stopped(values, candidate, rule)
    intervals = [ratio.interval() for ratio in known]
    covered = sum(interval.covers(1.0) for interval in intervals)
    exact = binomtest(covered, len(known)).proportion_ci(LEVEL, method="exact")
    counted: dict[str, object] = {
        "n": len(known),
        "covered": covered,
        "coverage": covered / len(known),
        "coverage_low": float(exact.low),
        "coverage_high": float(exact.high),
        "half_width_pct": 100 * float(np.mean([interval.half_width for interval in intervals])),
        "processes": float(np.mean([ratio.processes for ratio in known])),
    }
    if rule.arms == FULL_BLOCK:
        counted["false_alarms"] = _slower(known)
        counted["found"] = _slower(stopped(SLOWDOWN * values, candidate, rule))
    return counted


def _slower(known: list[Evidence]) -> float:
    return float(np.mean([judge([ratio]) == ["slower"] for ratio in known]))
