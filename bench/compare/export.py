"""A comparison for other programs: JSON with all of it, CSV with a row per pair of trials."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from bench.compare.comparison import Pair, RunComparison, TrialComparison
from bench.files import replacing
from bench.stats import Interval


def write_json(comparison: TrialComparison | RunComparison, path: Path) -> None:
    """One object: ``pairs`` holds the rows; of runs also what only one of them has."""
    document: dict[str, Any]
    match comparison:
        case TrialComparison():
            document = {"kind": "trials", "refusal": comparison.refusal}
        case RunComparison():
            document = {
                "kind": "runs",
                "only_a": [trial.key for trial in comparison.only_a],
                "only_b": [trial.key for trial in comparison.only_b],
                "source_a": comparison.sources[0],
                "source_b": comparison.sources[1],
            }
    document["pairs"] = [row(pair) for pair in comparison.pairs]
    with replacing(path) as draft:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def write_csv(comparison: TrialComparison | RunComparison, path: Path) -> None:
    """A row per pair; an empty cell is what is not known."""
    frame = pd.DataFrame([row(pair) for pair in comparison.pairs]).convert_dtypes()
    with replacing(path) as draft:
        frame.to_csv(draft, index=False)


def row(pair: Pair) -> dict[str, Any]:
    """All of a pair, flat, units in the names; what is missing or unbounded is None."""
    time = pair.time
    ratio = None if time is None else time.ratio
    reach = pair.detectable
    cells: dict[str, Any] = {
        "trial_a": pair.a.key,
        "trial_b": pair.b.key,
        "paired": None if time is None else time.is_paired,
        **percents("change", None if ratio is None else ratio.interval().scaled(1.0, -1.0)),
        "verdict": pair.verdict,
        "detectable_pct": None if reach is None or math.isinf(reach) else 100 * reach,
        "reason": pair.reason if time is None else time.doubt,
    }
    for place, side in enumerate("ab"):
        cells[f"rounds_{side}"] = None if time is None else time.rounds[place]
        cells[f"processes_{side}"] = None if time is None else time.processes[place]
        cells |= percents(f"overhead_{side}", None if time is None else time.overheads[place])
    for count in pair.counts:
        cells |= {f"{count.name}_a": count.before, f"{count.name}_b": count.after}
    return cells


def percents(name: str, fraction: Interval | None) -> dict[str, float | None]:
    """The estimate and the ends, which are None where one process alone has measured."""
    is_bounded = fraction is not None and fraction.is_bounded
    return {
        f"{name}_pct": None if fraction is None else 100 * fraction.estimate,
        f"{name}_low_pct": 100 * fraction.low if fraction is not None and is_bounded else None,
        f"{name}_high_pct": 100 * fraction.high if fraction is not None and is_bounded else None,
    }
