"""How far the kernels are off float64 on the emulator: ``nox -s emulated``.

The checks of ``bench selfcheck``, with the emulator behind torch's operators in
place of a GPU, on the smaller ones of its maps. Leaves ``emulated.csv`` in
--out, a row for each operator's result and dtype. Inputs come from a seed, and
every sum has an order: the same machine code gives the same errors.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from bench.documents.sources import EMULATED, ROOT
from bench.files import replacing
from bench.measure.agreement import SHAPES, agreements
from bench.measure.selfcheck import unlaunched
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.cuda.launch import Launch
from se_models.fused.cuda.library import register
from tests.se_models.fused.cuda.emulator import Emulator, arrivals

# Of a map; larger ones take the emulator minutes, and the code that runs is the same.
MOST_VALUES = 2**16


class _Noting(Emulator):
    """Notes dtypes too, as the driver does on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.launched: set[tuple[torch.dtype, str]] = set()

    def launch(self, launch: Launch) -> None:
        super().launch(launch)
        self.launched.add((launch.dtype, launch.kernel))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every operator on every small map; leave ``emulated.csv`` in --out."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.se_models.fused.cuda.errors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=ROOT / EMULATED.parent, metavar="DIR")
    options = parser.parse_args(arguments)
    frame = errors()
    options.out.mkdir(parents=True, exist_ok=True)
    with replacing(options.out / EMULATED.name) as draft:
        frame.to_csv(draft, index=False)
    print(frame.to_string(index=False))


def errors() -> pd.DataFrame:
    """The most that each operator is off, by dtype, over shapes, layouts, epilogues, alignments.

    Raises:
        RuntimeError: if the operators did not run on the kernels, or not on all of them.
    """
    emulator = _Noting()
    kept = register(Operators(emulator, arrivals), "CPU")  # as long as this is referred to
    shapes = [shape for shape in SHAPES if torch.Size(shape).numel() <= MOST_VALUES]
    found = pd.DataFrame(list(agreements(torch.device("cpu"), shapes)))
    del kept
    unused = unlaunched(emulator.launched)
    if unused:
        raise RuntimeError(f"every kernel must run, got none of {', '.join(unused)}")
    return found.groupby(["operator", "dtype"], sort=False, as_index=False).agg(
        cases=("error", "size"), error=("error", "max"), limit=("limit", "max")
    )


if __name__ == "__main__":
    main()
