"""What a committed run says of the ways of executing models: README's summary, docs' tables."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.documents.kernels import control_rate
from bench.documents.markdown import table
from bench.documents.path_against_path import over_other_paths
from bench.ledger import Ledger
from bench.path_matrix import (
    EVERYWHERE,
    called_and_held,
    latencies,
    over_eager,
    over_trunk,
    prepared_and_off,
    work_of,
)
from bench.path_summary import PATHS_NOTE, by_path, failed_paths
from bench.summary import setting_line
from bench.trial import Path

# What README shows of all that was measured.
SHOWN = ("resnet50", 1, "contiguous")
FUSED, FLOOR = Path("fused").label, "floor of fused"
_HELD = (
    "Operators called one by one, the most bytes alive in tensors at once, and what a process grows"
    " by, in MiB. Fused twins are those of `fuse(model, keep_state=False)`, for one kind of input;"
    " one that keeps its state holds the plain weights and its model's besides:"
)
_PREPARED = (
    "From the model to its first output, the first time, building kernels included, in s; and the"
    " most that any network's output is off float64, as max|a-b| / max|b|:"
)


def markdown(
    frame: pd.DataFrame, kernels: pd.DataFrame | None, ledger: Ledger | None = None
) -> str:
    """For every network and workload: SE over the trunk by each path, and all over eager's trunk.

    Beside them latencies, what each path calls and holds, what preparing takes, and how exact
    it is.

    Args:
        frame: of `bench.table.trials_frame`.
        kernels: rows of ``kernels.csv``, if there are any, for the floor of fused SE.
        ledger: what the frame was made from, to compare ``fused`` with the other paths.
    """
    sections = []
    for rows in works(frame):
        matrix = over_trunk(rows)
        floor = None if kernels is None else _floor(rows, kernels)
        if floor is not None:
            matrix = pd.concat([matrix, pd.DataFrame([floor])], ignore_index=True).fillna("")
        sections += [
            f"### {setting_line(rows, with_path=False)}",
            "Overhead over the plain trunk by the same path, in %, with its 95 % interval where "
            "several processes measured it; the control is a second trunk"
            + ("." if floor is None else f"; {FLOOR} is what the bytes that SE adds take alone."),
            table(matrix),
            "Time over the plain trunk in eager PyTorch, minus one, in %:",
            table(over_eager(rows)),
            "Latency in ms: the trunk's median by that path, and with the overheads above:",
            table(latencies(rows)),
            *([] if ledger is None else _fused_over_others(ledger, rows)),
            _HELD,
            table(called_and_held(rows)),
            _PREPARED,
            table(prepared_and_off(rows)),
            *failed_paths(rows),
        ]
    return "\n\n".join(sections) + "\n"


def summary(frame: pd.DataFrame) -> str:
    """A line per path of one network and workload: times, then what it calls and holds."""
    every = list(works(frame))
    chosen = [rows for rows in every if _about(rows) == SHOWN] or every
    if not chosen:
        raise ValueError("the records must hold one network by several paths")
    rows = chosen[0]
    sections = [
        f"**{setting_line(rows, with_path=False)}**", PATHS_NOTE, table(by_path(rows)),
        _HELD, table(called_and_held(rows)), *failed_paths(rows),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def works(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of each network and workload that was run by several paths."""
    for _, rows in frame.groupby(work_of(frame), sort=False):
        if rows["path"].nunique() > 1:
            yield rows


def _fused_over_others(ledger: Ledger, rows: pd.DataFrame) -> list[str]:
    """What ``fused`` takes over the other paths, below a line that says so, if that is known."""
    matrix = over_other_paths(ledger, rows, FUSED)
    if matrix.empty:
        return []
    line = f"Time by {FUSED} over that of the same network by each other path, minus one, in %"
    return [f"{line}; not paired:", table(matrix)]


def _floor(rows: pd.DataFrame, kernels: pd.DataFrame) -> dict[str, str] | None:
    """What the bytes that SE adds to a fused forward take, at the rate of torch's ``add_``.

    In percent of the fused trunk's time; None where that, its bytes, or the rate was not measured,
    the rate for this very workload and on this machine.
    """
    fused = rows[rows["path"] == FUSED].astype({"ideal_bytes": "float64"})
    trunk = fused[fused["placement"] == "none"]
    rate = control_rate(kernels, rows.iloc[0])
    if rate is None or trunk[["latency_s", "ideal_bytes"]].dropna().empty:
        return None
    base = trunk.iloc[0]
    cells = {"path": FLOOR}
    for placement, label in EVERYWHERE.items():
        found = fused[fused["se"] == label]
        if found["ideal_bytes"].notna().any():
            added = found["ideal_bytes"].iloc[0] - base["ideal_bytes"]
            cells[placement] = f"{100 * added / rate / base['latency_s']:.1f}"
    return cells


def _about(rows: pd.DataFrame) -> tuple[str, int, str]:
    row = rows.iloc[0]
    return str(row["architecture"]), int(row["batch"]), str(row["layout"])
