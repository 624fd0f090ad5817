"""What is committed and no longer follows from its records."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench import plots, summary
from bench.documents.sources import COVERAGE, GATE, GATE_RUNS, PROOF, Run
from bench.gate.proof import figure as gate_figure
from bench.gate.proof import lines, report
from bench.method import figure as coverage_figure
from bench.method import pictures, proof_figure, recording
from bench.method.arguments import LENGTHS_S
from bench.method.proof import proof


def stale_run(run: Run, root: Path) -> Iterator[str]:
    """The tables and plots of a run that its records do not make."""
    folder = root / run.folder
    for name in _stale_tables(run.frame, folder):
        yield f"{run.folder / name} does not follow from the records"
    drawn = json.loads((folder / "plots" / plots.DIGESTS).read_text(encoding="utf-8"))
    for name, digest in plots.digests(run.frame, run.plots).items():
        files = [folder / "plots" / f"{name}{suffix}" for suffix in (".png", ".svg")]
        if drawn.get(name) != digest or not all(file.exists() for file in files):
            yield f"{run.folder / 'plots' / name} does not show the records' data"


def stale_proof(table: Path) -> Iterator[str]:
    """The proof's table, where its recordings say something else."""
    recordings = recording.all_in(table.parent)
    if not recordings and not table.exists():
        return
    if not _same(table, proof(recordings, LENGTHS_S)):
        yield f"{PROOF} does not follow from its recordings: `python -m bench.method proof`, then"


def stale_pictures(root: Path) -> Iterator[str]:
    """Pictures of experiments that do not show their tables."""
    drawn = ((COVERAGE, coverage_figure), (PROOF, proof_figure), (GATE, gate_figure))
    for table, figure in drawn:
        if (root / table).exists():
            frame = pd.read_csv(root / table)
            if pictures.is_stale((root / table).parent, figure.STEM, frame, figure.title(frame)):
                yield f"{table.with_suffix('.png')} does not show {table}: draw it anew, then"


def stale_gate(root: Path) -> Iterator[str]:
    """The table of the gate's proof, where its runs say something else."""
    if (root / GATE_RUNS).exists():
        expected = report.counts(lines.read(root / GATE_RUNS).runs)
        if not _same(root / GATE, expected):
            yield f"{GATE} is not of its runs: `nox -s gate_proof -- --report-only`, then"


def _same(table: Path, expected: pd.DataFrame) -> bool:
    """Whether a file holds a frame; numbers may differ in their last digits."""
    as_csv = io.StringIO(expected.to_csv(index=False))
    try:
        pd.testing.assert_frame_equal(pd.read_csv(table), pd.read_csv(as_csv), rtol=1e-6)
    except (AssertionError, OSError):
        return False
    return True


def _stale_tables(frame: pd.DataFrame, folder: Path) -> Iterator[str]:
    """Tables that are not the frame's; numbers may differ in their last digits."""
    if (folder / "table.md").read_text(encoding="utf-8") != summary.markdown(frame):
        yield "table.md"
    if not _same(folder / "table.csv", frame):
        yield "table.csv"
    as_parquet = pd.read_parquet(io.BytesIO(frame.to_parquet(index=False)))
    try:
        found = pd.read_parquet(folder / "table.parquet")
        pd.testing.assert_frame_equal(found, as_parquet, rtol=1e-6)
    except AssertionError:
        yield "table.parquet"
