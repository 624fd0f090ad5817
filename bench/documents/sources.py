"""What the documents are made from: where it lies below a checkout, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.ledger import Ledger
from bench.line_files import found
from bench.method import recording
from bench.plots import NAMES
from bench.record import read
from bench.run.run_file import RECORDS
from bench.table import trials_frame

ROOT = Path(__file__).resolve().parents[2]
CPU = Path("results/cpu")  # the default grid
PATHS = Path("results/paths")  # every way of executing models, side by side
PATHS_AVX2 = Path("results/paths-avx2")  # the same on a CPU without AVX-512
RUNS = (CPU, PATHS, PATHS_AVX2)
COVERAGE = Path("results/method/coverage.csv")
CONTENTION = Path("results/method/contention.csv")
PROOF = Path("results/method/proof.csv")
PLUGIN, PLUGIN_SHOWN = Path("results/method/plugin.csv"), Path("results/method/plugin.txt")
GATE, GATE_RUNS = Path("results/gate/gate_proof.csv"), Path("results/gate/runs.jsonl")
KERNELS = Path("results/fused/kernels.csv")
FIRST_USE = Path("results/fused/first_use.csv")
CUBINS = Path("results/fused/cubins.csv")
EMULATED = Path("results/fused/emulated.csv")
EXPORTED = Path("results/export/differences.csv")
PREDICTED = Path("results/predicted/predicted.csv")
PUBLISHED = Path("results/reference/timm_se_overhead.csv")
# Each document with what its parts are made from.
DOCUMENTS = {
    Path("README.md"): (CPU / RECORDS, PROOF, PATHS / RECORDS, GATE_RUNS),
    Path("docs/ci.md"): (GATE_RUNS,),
    Path("docs/method.md"): (CPU / RECORDS, CONTENTION),
    Path("docs/coverage.md"): (COVERAGE,),
    Path("docs/proof.md"): (PROOF, PLUGIN),
    Path("docs/pytest.md"): (PLUGIN, PLUGIN_SHOWN),
    Path("docs/paths.md"): (PATHS / RECORDS, KERNELS, EXPORTED),
    Path("docs/paths-avx2.md"): (PATHS_AVX2 / RECORDS, KERNELS),
    Path("docs/fused.md"): (KERNELS, FIRST_USE),
    Path("docs/gpu.md"): (CUBINS, EMULATED, PREDICTED),
}


def unpacked(root: Path) -> list[Path]:
    """The files of raw samples that a checkout holds plain, and that are to be packed."""
    lines = [root / folder / RECORDS for folder in RUNS]
    lines += recording.paths_in((root / PROOF).parent)
    return [path for path in lines if path.exists()]


@dataclass(frozen=True)
class Run:
    """A committed run: its folder below the checkout, its records, and the table they make."""

    folder: Path
    ledger: Ledger
    frame: pd.DataFrame

    @property
    def plots(self) -> tuple[str, ...]:
        """The names of those that are committed; of a run of many settings what is shown."""
        return NAMES if self.folder == CPU else ("paths",)


def runs(root: Path) -> dict[Path, Run]:
    """The runs that a checkout holds, by their folder."""
    held = {}
    for folder in RUNS:
        if found(root / folder / RECORDS):
            ledger = Ledger(read(root / folder / RECORDS))
            held[folder] = Run(folder, ledger, trials_frame(ledger))
    return held
