"""The command ``exact``: count, and hold the counts against the baseline or make it anew."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from bench.exact import GRID
from bench.gate import exact
from bench.gate.baseline import FOLDER, Baseline
from bench.gate.ci import publish, show
from bench.gate.counting import count_all


def check(folder: Path) -> int:
    """Compare with the baseline in ``folder``; 0 if all is as it was, else 1.

    Raises:
        FileNotFoundError, ValueError: if there is no baseline that can be read; nothing is counted.
        RuntimeError: if something cannot be counted.
    """
    before = Baseline.read(folder)
    comparison = exact.compare(before, _count())
    report = exact.markdown(comparison, _update_command(folder))
    show("the report", lambda: publish(report))
    return 0 if comparison.passes else 1


def update(folder: Path) -> int:
    """Write the baseline, and tell what it changes where there was one."""
    try:
        before = Baseline.read(folder)
    except (FileNotFoundError, ValueError) as error:
        before = None
        print(f"There was no baseline to compare with: {error}", file=sys.stderr)
    after = _count()
    if before is not None:
        comparison = exact.compare(before, after)
        if not comparison.passes:
            print(f"{exact.table(comparison.differences)}\n")
    after.write(folder)
    print(f"{len(after.counts)} variants in {folder}")
    return 0


def _count() -> Baseline:
    """The grid's counts now, with progress where somebody looks."""
    trials = GRID.trials()
    columns = (TextColumn("counting"), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("counting", total=len(trials))
        return count_all(trials, lambda: progress.advance(task))


def _update_command(folder: Path) -> str:
    named = "" if folder == FOLDER else f" --baseline {shlex.quote(str(folder))}"
    return f"python -m bench exact --update{named}"
