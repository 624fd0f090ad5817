"""`compare`: from two names to a comparison, on the console and in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.compare.comparison import (
    RunComparison,
    TrialComparison,
    compare_runs,
    compare_trials,
    known_trials,
)
from bench.compare.console import print_comparison
from bench.compare.export import write_csv, write_json
from bench.compare.lookup import find_run, find_trial
from bench.ledger import Ledger
from bench.line_files import found
from bench.record import read
from bench.run.run_file import RECORDS, ledger_in


@dataclass(frozen=True)
class Request:
    """What to compare: two runs, or two trials of the run in ``out``; and files to write."""

    names: tuple[str, str]
    out: Path
    json: Path | None = None
    csv: Path | None = None


def compare(request: Request, console: Console) -> None:
    """Compare what is named, and show it.

    Raises:
        ValueError: if it cannot be compared; of two trials the counts are shown before.
        FileNotFoundError: if there are no records where trials are looked for.
    """
    comparison = _comparison(request)
    print_comparison(comparison, request.names, console)
    if request.json is not None:
        write_json(comparison, request.json)
    if request.csv is not None:
        write_csv(comparison, request.csv)
    if isinstance(comparison, TrialComparison) and comparison.refusal is not None:
        raise ValueError(comparison.refusal)


def _comparison(request: Request) -> TrialComparison | RunComparison:
    name_a, name_b = request.names
    a, b = find_run(name_a), find_run(name_b)
    if a is None and b is None:
        ledger = _trials_in(request.out)
        trials = known_trials(ledger)
        return compare_trials(ledger, find_trial(trials, name_a), find_trial(trials, name_b))
    if a is None or b is None:
        run, other = (name_a, name_b) if b is None else (name_b, name_a)
        raise ValueError(
            f"A and B must both be runs or both be trials, got the run {run}, and {other!r}, "
            "which is no records file and no folder of one"
        )
    if a.samefile(b):
        raise ValueError(f"A and B must be two runs, got {a} twice")
    return compare_runs(Ledger(read(a)), Ledger(read(b)))


def _trials_in(out: Path) -> Ledger:
    if found(out / RECORDS) is None:
        raise FileNotFoundError(
            f"--out must hold a {RECORDS} with the trials to compare, got {out}: measure one with "
            "`run`, or name two runs"
        )
    return ledger_in(out)
