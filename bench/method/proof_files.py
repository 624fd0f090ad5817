"""From the recordings of a folder to the proof's table and picture beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from bench.files import replacing
from bench.method import proof_figure, recording
from bench.method.comparisons import comparisons
from bench.method.load import LOADS
from bench.method.proof import PROOF, proof
from bench.method.recording import RefusedError


def write(folder: Path, pools: Sequence[int]) -> Iterator[Path]:
    """``proof.csv`` and its picture; their paths, one by one.

    Raises:
        RefusedError: if there is no recording with a complete set, or a damaged one.
    """
    paths = [recording.path_of(folder, load) for load in LOADS]
    recordings = [recording.read(path) for path in paths if path.exists()]
    frame = proof(recordings, pools)
    if frame.empty:
        raise RefusedError(
            f"{folder} holds fewer complete sets than make a comparison: "
            "record some with `nox -s method`"
        )
    with replacing(folder / PROOF) as draft:
        frame.to_csv(draft, index=False)
    yield folder / PROOF
    shortest = min(pools)
    singles: dict[str, pd.DataFrame] = {
        each.header.parameters.load: comparisons(each, shortest) for each in recordings
    }
    drawn = {load: rows for load, rows in singles.items() if not rows.empty}
    yield from proof_figure.save(frame, drawn, folder)
