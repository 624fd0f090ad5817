"""The record file of a run: continued where earlier measurements still hold, else begun anew."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from bench.environment import Machine, Source, suite_version
from bench.ledger import Ledger
from bench.line_files import found, set_aside
from bench.record import SCHEMA_VERSION, Header, Journal, SchemaError, read

RECORDS = "records.jsonl"


@dataclass(frozen=True)
class RunFile:
    """Where to append, what is known already, and what a person should be told of it.

    ``goes_on`` says whether earlier measurements are continued.
    """

    journal: Journal
    ledger: Ledger
    note: str
    goes_on: bool


def open_run(folder: Path, machine: Machine, source: Source, *, fresh: bool) -> RunFile:
    """Open ``folder``'s record file.

    Measurements are continued only if the machine and the suite's source are
    what they were. Otherwise, or if ``fresh``, the old file is kept under
    another name and a new one begins; the note says why.

    Raises:
        SchemaError: if the file there is of another schema version, or damaged.
        BusyError: if another run is writing to it.
    """
    path = folder / RECORDS
    is_new = found(path) is None
    if fresh and not is_new:
        return _anew(path, "--fresh was given")
    if not is_new:
        read(path)  # what is no record file of ours must not be touched
    journal = Journal(path, header=_header())  # from here on the file is ours alone
    try:
        ledger = Ledger(read(path))
    except SchemaError:
        journal.close()
        raise
    why = _why_not(ledger, machine, source)
    if why is None:
        return RunFile(journal, ledger, _progress_note(ledger, path), goes_on=not is_new)
    journal.close()
    return _anew(path, why)


def _anew(path: Path, why: str) -> RunFile:
    kept = set_aside(path)
    aside = f"; earlier records are kept in {kept.name}" if kept else ""
    note = f"starting anew, since {why}{aside}"
    return RunFile(Journal(path, header=_header()), Ledger(), note, goes_on=False)


def ledger_in(folder: Path) -> Ledger:
    """What a run has left in ``folder``.

    Raises:
        FileNotFoundError: if there are no records.
        ValueError: if they hold no trial.
    """
    path = folder / RECORDS
    if found(path) is None:
        raise FileNotFoundError(
            f"--out must hold a {RECORDS}, got {folder}: measure one with `run`"
        )
    ledger = Ledger(read(path))
    if not (ledger.planned or ledger.visits):
        raise ValueError(f"{path} must hold a trial, and holds none yet: measure one with `run`")
    return ledger


def _progress_note(ledger: Ledger, path: Path) -> str:
    if not ledger.environments:
        return f"writing to {path}"
    rounds = sum(len(visit.rounds) for visit in ledger.visits.values())
    return f"going on with {path}: {len(ledger.counts)} variants counted, {rounds} rounds measured"


def _header() -> Header:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Header(schema=SCHEMA_VERSION, created_at=now, suite_version=suite_version())


def _why_not(ledger: Ledger, machine: Machine, source: Source) -> str | None:
    """What makes the earlier measurements unusable, if anything does."""
    for environment in ledger.environments:
        differences = machine.differences(environment.machine)
        if differences:
            return "the machine has changed (" + "; ".join(differences) + ")"
        if environment.source.fingerprint != source.fingerprint:
            return "the suite's source has changed"
    return None
