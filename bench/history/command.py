"""`history`: from runs to one table, its changes on the console, and a picture per quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.files import replacing
from bench.history import figure
from bench.history.changes import Change, changes
from bench.history.gathering import Run, history, in_folders, in_git

TABLE = "history.csv"


@dataclass(frozen=True)
class Request:
    """Where to look for runs, what to follow of which trials, and where to leave it.

    Attributes:
        folders: that hold runs; left out of account where ``git`` is given.
        git: a records file, or its folder, whose versions in git are the runs.
        quantities: what is drawn and searched for changes.
        trials: those whose key holds any of these; none given, all.
        out: the folder of table and pictures.
    """

    folders: tuple[Path, ...]
    git: Path | None
    quantities: tuple[str, ...]
    trials: tuple[str, ...]
    out: Path


def show(request: Request, console: Console) -> None:
    """Gather, tell what has changed, and leave a table and pictures.

    Raises:
        ValueError: if there is no run, or none with such a trial or quantity.
        FileNotFoundError: if a folder does not exist.
    """

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    runs = in_folders(request.folders, tell) if request.git is None else in_git(request.git, tell)
    table = _asked_for(history(runs), request, len(runs))
    found = changes(table)
    for line in (*_about(runs), *map(_told, found)):
        tell(line)
    if not found:
        tell("No change was found.")
    request.out.mkdir(parents=True, exist_ok=True)
    with replacing(request.out / TABLE) as draft:
        table.to_csv(draft, index=False)
    tell(str(request.out / TABLE))
    for quantity in table["quantity"].unique():
        for path in figure.save(table, found, str(quantity), request.out):
            tell(str(path))


def _asked_for(table: pd.DataFrame, request: Request, runs: int) -> pd.DataFrame:
    if table.empty:
        where = request.git or ", ".join(map(str, request.folders))
        raise ValueError(f"{where} holds no run with anything to follow, of {runs} found")
    followed = table["quantity"].unique()
    table = table[table["quantity"].isin(request.quantities)]
    if table.empty:
        raise ValueError(
            f"--quantities must be from {', '.join(followed)}, which the runs have, "
            f"got {', '.join(request.quantities)}"
        )
    keys = table["trial"].unique()
    chosen = [key for key in keys if any(part in key for part in request.trials or ("",))]
    if not chosen:
        raise ValueError(
            f"--trials must be part of a key such as {', '.join(keys[:3])}, "
            f"got {', '.join(request.trials)}"
        )
    return table[table["trial"].isin(chosen)].reset_index(drop=True)


def _about(runs: Sequence[Run]) -> list[str]:
    environments = len({run.environment for run in runs})
    apart = (
        ", in one environment"
        if environments == 1
        else f", in {environments} environments, which are not held against each other"
    )
    return [f"{len(runs)} runs from {runs[0].begun_at} to {runs[-1].begun_at}{apart}."]


def _told(change: Change) -> str:
    by = f"{change.percent:+.1f} {'points' if change.unit == '%' else '%'}"
    return (
        f"{change.quantity} of {change.trial} changed with run {change.run}"
        f"{f' ({change.commit})' if change.commit else ''}: "
        f"{change.before:.4g} to {change.after:.4g} {change.unit}, {by}"
    )
