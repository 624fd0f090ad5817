"""The committed table of counts that the exact gate holds changes against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pandas as pd

from bench.exact import COMPILED, QUANTITIES, Exact, Versions
from bench.files import replacing

FOLDER = Path("results/baseline")
COUNTS, VERSIONS = "counts.csv", "versions.json"
NAMES = ["variant", "transform"]


@dataclass(frozen=True)
class Baseline:
    """Counts by variant and transform, a column for each quantity, and what they were made with."""

    versions: Versions
    counts: pd.DataFrame

    @classmethod
    def of(cls, versions: Versions, exacts: list[Exact]) -> Baseline:
        """What has just been counted."""
        return cls(versions, pd.DataFrame([each.row() for each in exacts]).set_index(NAMES))

    @classmethod
    def read(cls, folder: Path) -> Baseline:
        """What was committed.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged, or of other quantities than are counted now.
        """
        path = folder / COUNTS
        if not path.exists():
            raise FileNotFoundError(
                f"--baseline must be a folder with {COUNTS} and {VERSIONS}, got {folder}: make it "
                "with --update"
            )
        try:
            versions = msgspec.json.decode((folder / VERSIONS).read_bytes(), type=Versions)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{folder / VERSIONS} says no versions: {error}") from error
        table = pd.read_csv(path)
        expected = [*NAMES, *QUANTITIES, *COMPILED]
        if list(table.columns) != expected:
            raise ValueError(
                f"columns of {path} must be {', '.join(expected)}, got {', '.join(table.columns)}: "
                "make it anew with --update"
            )
        counts = table.set_index(NAMES)
        if counts.index.has_duplicates:
            twice = ", ".join(map("/".join, counts.index[counts.index.duplicated()]))
            raise ValueError(f"a variant must have one line in {path}, got several of {twice}")
        return cls(versions, counts)

    def write(self, folder: Path) -> None:
        """Both files, in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / VERSIONS) as draft:
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(self.versions)) + b"\n")
        with replacing(folder / COUNTS) as draft:
            self.counts.to_csv(draft)
