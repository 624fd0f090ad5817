"""What the documents are made from: where it lies below a checkout, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.ledger import Ledger
from bench.plots import NAMES
from bench.record import read
from bench.run.run_file import RECORDS
from bench.table import trials_frame

ROOT = Path(__file__).resolve().parents[2]
CPU = Path("results/cpu")  # the default grid
PATHS = Path("results/paths")  # every way of executing models, side by side
RUNS = (CPU, PATHS)
COVERAGE = Path("results/method/coverage.csv")
CONTENTION = Path("results/method/contention.csv")
PROOF = Path("results/method/proof.csv")
INTERLEAVED = Path("results/method/interleaved.csv")
GATE, GATE_RUNS = Path("results/gate/gate_proof.csv"), Path("results/gate/runs.jsonl")
KERNELS = Path("results/fused/kernels.csv")
CUBINS = Path("results/fused/cubins.csv")
EMULATED = Path("results/fused/emulated.csv")
PREDICTED = Path("results/predicted/predicted.csv")
PUBLISHED = Path("results/reference/timm_se_overhead.csv")
# Each document with what its parts are made from.
DOCUMENTS = {
    Path("README.md"): (CPU / RECORDS, PROOF, PATHS / RECORDS, GATE_RUNS),
    Path("docs/ci.md"): (GATE_RUNS,),
    Path("docs/method.md"): (CPU / RECORDS, CONTENTION),
    Path("docs/coverage.md"): (COVERAGE,),
    Path("docs/proof.md"): (PROOF,),
    Path("docs/pytest.md"): (INTERLEAVED,),
    Path("docs/paths.md"): (PATHS / RECORDS,),
    Path("docs/fused.md"): (KERNELS,),
    Path("docs/gpu.md"): (CUBINS, EMULATED, PREDICTED),
}


@dataclass(frozen=True)
class Run:
    """A committed run: its folder below the checkout, its records, and the table they make."""

    folder: Path
    ledger: Ledger
    frame: pd.DataFrame

    @property
    def plots(self) -> tuple[str, ...]:
        """The names of those that are committed; of a run of many settings what is shown."""
        return ("paths",) if self.folder == PATHS else NAMES


def runs(root: Path) -> dict[Path, Run]:
    """The runs that a checkout holds, by their folder."""
    found = {}
    for folder in RUNS:
        if (root / folder / RECORDS).exists():
            ledger = Ledger(read(root / folder / RECORDS))
            found[folder] = Run(folder, ledger, trials_frame(ledger))
    return found
