"""`export`: a run's records in the format of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

from bench.exports import github_action, pytest_benchmark
from bench.files import replacing
from bench.ledger import Ledger
from bench.record import Header, read, select
from bench.run.run_file import RECORDS
from bench.table import trials_frame

Format = Literal["pytest-benchmark", "github-action-benchmark"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export(folder: Path, to: Format, file: Path | None) -> Path:
    """Write a run's export, as strict JSON in ASCII; the file that it is in.

    Args:
        folder: of the run.
        to: the tool that is to read it.
        file: where to; None is a file of the tool's name in the folder.

    Raises:
        FileNotFoundError: if the folder holds no records.
        ValueError: if nothing was measured, or pytest-benchmark is not installed.
    """
    records = read(folder / RECORDS)
    ledger = Ledger(records)
    frame = trials_frame(ledger)
    made: Any
    if to == "pytest-benchmark":
        header = next(iter(select(records, Header)))
        try:
            made = pytest_benchmark.document(header, ledger, frame)
        except ImportError as error:
            raise ValueError(
                "--to pytest-benchmark needs it: pip install pytest-benchmark"
            ) from error
    else:
        made = github_action.entries(frame)
    path = file or folder / f"{to}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(json.dumps(made, allow_nan=False, indent=1) + "\n", encoding="ascii")
    return path
