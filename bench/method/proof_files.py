"""From the recordings of a folder to the proof's table and picture beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.files import replacing
from bench.method import pictures, proof_figure, recording
from bench.method.comparisons import comparisons
from bench.method.proof import PROOF, proof
from bench.method.recording import RefusedError


def write(folder: Path, lengths_s: Sequence[float]) -> Iterator[Path]:
    """``proof.csv`` and its picture; their paths, one by one.

    Raises:
        RefusedError: if there is no recording with a complete set, or a damaged one.
    """
    recordings = recording.all_in(folder)
    frame = proof(recordings, lengths_s)
    if frame.empty:
        raise RefusedError(
            f"{folder} holds no recording with a complete set: record some with `nox -s method`"
        )
    with replacing(folder / PROOF) as draft:
        frame.to_csv(draft, index=False)
    yield folder / PROOF
    singles = {
        (asked.load, asked.size): comparisons(each)
        for each in recordings
        for asked in [each.header.parameters]
    }
    yield from proof_figure.save(frame, singles, folder)
    yield pictures.note(folder, proof_figure.STEM, frame, proof_figure.title(frame))
