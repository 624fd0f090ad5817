"""Runs from folders and from git's history, in the order in which they were begun."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec
import pandas as pd

from bench.environment import Machine, Runtime
from bench.git import blob, git
from bench.ledger import Ledger
from bench.line_files import SUFFIX, packed, plain
from bench.quantities import QUANTITIES
from bench.record import Header, Record, SchemaError, read, select
from bench.run.run_file import RECORDS
from bench.table import is_disturbed, trials_frame

# Earlier records keep this form of name beside the latest ones; any may be packed.
_PATTERN = f"{PurePosixPath(RECORDS).stem}*{PurePosixPath(RECORDS).suffix}"
_PATTERNS = (_PATTERN, _PATTERN + SUFFIX)


@dataclass(frozen=True)
class Run:
    """A run of the past.

    Attributes:
        name: where it was found.
        begun_at: in ISO 8601, UTC.
        commit: of the source that was measured, with + if that had been changed; may be unknown.
        machine: its CPU, or its GPU where one was measured.
        torch: its version.
        environment: equal for runs whose times may be held against each other.
        records: how many it has left; it had more each time that it went on.
        frame: its table, a row per trial.
    """

    name: str
    begun_at: str
    commit: str | None
    machine: str
    torch: str
    environment: str
    records: int
    frame: pd.DataFrame


Tell = Callable[[str], object]


def in_folders(folders: Iterable[Path], tell: Tell) -> list[Run]:
    """All runs below some folders, earlier records that were kept there included.

    Raises:
        FileNotFoundError: if a folder does not exist.
    """
    files: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"history is gathered from folders, got {folder}")
        found = {file for pattern in _PATTERNS for file in folder.rglob(pattern)}
        files |= dict.fromkeys(sorted(found))
    return _in_order(_runs(((str(file), file) for file in files), tell))


def in_git(path: Path, tell: Tell) -> list[Run]:
    """Every version of a records file, packed or not, that a commit of this branch holds.

    Args:
        path: the file, or the folder that holds it; it need not exist today.
        tell: is told of versions that cannot be read.

    Raises:
        ValueError: if git knows of no such file.
    """
    root = Path(git(Path(), "rev-parse", "--show-toplevel")).resolve()
    named = plain(path)
    file = (named if named.suffix == PurePosixPath(RECORDS).suffix else path / RECORDS).resolve()
    if not file.is_relative_to(root):
        raise ValueError(f"--git must name a file below {root}, got {path}")
    file = file.relative_to(root)
    names = (str(file), str(packed(file)))
    commits = git(root, "log", "--format=%H", "--diff-filter=AMR", "--", *names).split()
    if not commits:
        raise ValueError(f"--git must name a file that git has versions of, got {file}")
    with tempfile.TemporaryDirectory() as folder:
        return _in_order(_runs(_versions(root, names, commits, Path(folder)), tell))


def history(runs: Iterable[Run]) -> pd.DataFrame:
    """A row for each run, trial and quantity that is known of it.

    ``value``, ``low`` and ``high`` are in ``unit``; the ends are missing of
    what was counted or taken once. ``run`` counts from 0. Times that were measured in
    a breakdown are left out.
    """
    rows = [
        {
            "run": number, "name": run.name, "begun_at": run.begun_at, "commit": run.commit,
            "machine": run.machine, "torch": run.torch, "environment": run.environment,
            "setting": row["setting"], "trial": row["trial"], "se": row["se"],
            "quantity": name, "unit": quantity.unit, "value": quantity.of(row),
            **dict(zip(("low", "high"), quantity.interval(row) or (None, None), strict=True)),
        }
        for number, run in enumerate(runs)
        for _, row in run.frame.iterrows()
        for name, quantity in QUANTITIES.items()
        if quantity.of(row) is not None and not (quantity.ends and is_disturbed(row))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _versions(
    root: Path, names: Iterable[str], commits: Iterable[str], folder: Path
) -> Iterator[tuple[str, Path]]:
    """Each version, written to ``folder`` in turn."""
    for commit in commits:
        there = git(root, "ls-tree", "-z", "--name-only", commit, "--", *names).split("\0")
        for file in map(PurePosixPath, filter(None, there)):
            version = folder / file.name
            version.write_bytes(blob(root, commit, file))
            yield f"{commit[:7]}:{file}", version
            version.unlink()


def _runs(files: Iterable[tuple[str, Path]], tell: Tell) -> Iterator[Run]:
    for name, file in files:
        try:
            run = _run(name, read(file))
        except SchemaError as error:
            tell(f"{name} is left out: {str(error).replace(str(file), name)}")
            continue
        if run is None:
            tell(f"{name} is left out: nothing was measured there")
        else:
            yield run


def _run(name: str, records: list[Record]) -> Run | None:
    ledger = Ledger(records)
    frame = trials_frame(ledger)
    if frame.empty or not ledger.environments:
        return None
    header = next(iter(select(records, Header)))
    first = ledger.environments[0]
    changed = "+" if first.source.dirty_diff else ""
    return Run(
        name,
        header.created_at,
        first.source.commit and first.source.commit[:7] + changed,
        str(frame["machine"].iloc[0]),
        first.runtime.torch,
        _environment(first.machine, first.runtime),
        len(records),
        frame,
    )


def _environment(machine: Machine, runtime: Runtime) -> str:
    """Equal where `compare` would not refuse either: a name for all of both."""
    both = msgspec.json.encode((replace(machine, cores=None), runtime))
    return hashlib.sha256(both).hexdigest()[:8]


def _in_order(runs: Iterable[Run]) -> list[Run]:
    """By when they began; of a run that was found several times, going on, the longest one."""
    longest: dict[tuple[str, ...], Run] = {}
    for run in sorted(runs, key=lambda run: run.records):
        longest[run.begun_at, run.environment, run.commit or ""] = run
    return [longest[key] for key in sorted(longest)]
