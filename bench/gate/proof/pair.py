"""The two revisions that are compared: one, and the same with a slower placement.

Each is a clone, so that nothing of what is worked on meanwhile is measured.
The slower one runs a convolution more in one block of its ``standard`` placement:
real work of the model's own kind, as in `bench.measure.slowed`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.gate.proof.lines import Parameters
from bench.gate.signals import held
from bench.git import RevisionError, git
from bench.method.processes import InRounds, Setting, in_rounds
from bench.method.ratios import ratios
from bench.method.slowdowns import PROCESSES, ROWS, SECONDS, rows_for

PACKAGES = ("bench", "se_models")
SLOWED = "resnet18/standard-r16"
_FILE = "se_models/blocks.py"
_PLACE = '            case "standard":\n'
# The first block of the second stage alone, so that it is one call more and no eight.
_CALL = """\
                if self.stride == 2 and self.conv1.in_channels == 64:
                    nn.functional.conv2d(_MAP, _WEIGHT, padding=1)
"""
_TENSORS = """

_MAP, _WEIGHT = torch.ones(1, 32, {rows}, 16), torch.ones(32, 32, 3, 3)
"""
_IMPORT = "from torch import Tensor, nn\n"


@dataclass(frozen=True)
class Pair:
    """The folders of both, each a repository whose HEAD is what is compared."""

    equal: Path
    slowed: Path


def committed(root: Path) -> str:
    """The commit whose gate is tried.

    Raises:
        RevisionError: if what is measured has changes that are not in it.
    """
    if git(root, "status", "--porcelain", "--", *PACKAGES):
        raise RevisionError(f"{' and '.join(PACKAGES)} must be committed: the proof is of a commit")
    return git(root, "rev-parse", "HEAD")


@contextmanager
def pair(root: Path, rows: int) -> Iterator[Pair]:
    """Clones of a repository's commit, in a folder that is removed."""
    folder = Path(tempfile.mkdtemp(prefix="se-bench-proof-"))
    found = Pair(folder / "equal", folder / "slowed")
    try:
        for each in (found.equal, found.slowed):
            git(folder, "clone", "--quiet", str(root), str(each))
        slow_down(found.slowed, rows)
        yield found
    finally:
        with held():
            shutil.rmtree(folder, ignore_errors=True)


def slow_down(root: Path, rows: int) -> None:
    """Commit so much more work to a clone.

    Raises:
        ValueError: if its source is not what it was when this was written.
    """
    path = root / _FILE
    text = path.read_text(encoding="utf-8")
    if text.count(_PLACE) != 1 or text.count(_IMPORT) != 1:
        raise ValueError(f"{_FILE} must have one {_PLACE.strip()!r} and one {_IMPORT.strip()!r}")
    text = text.replace(_PLACE, _PLACE + _CALL).replace(_IMPORT, f"import torch\n{_IMPORT}")
    path.write_text(text + _TENSORS.format(rows=rows), encoding="utf-8")
    identity = ("-c", "user.name=proof", "-c", "user.email=proof@example.org")
    git(root, *identity, "commit", "--quiet", "--all", "-m", "Slow one placement down")


def calibrated(parameters: Parameters, tell: Callable[[str], None]) -> int:
    """How many rows make the placement slower by as much as asked for.

    From a short paired run, in which the placement itself rides: the work is found as a
    share of the trunk's time, and the placement takes longer.

    Raises:
        MeasuringError: if a process fails, or the most rows seem to cost too little.
    """
    tell(f"calibrating the slower placement in {PROCESSES} processes")
    setting = Setting(parameters.size, parameters.threads, "passive")
    arms = ("none", "standard-r16", *(f"slowed-{rows}" for rows in ROWS))
    tasks = [InRounds(SECONDS, seed) for seed in range(PROCESSES)]
    told = np.mean([ratios(each.said) for each in in_rounds(arms, setting, tasks)], axis=0)
    return rows_for([parameters.slower_pct * told[1]], told[2:] - 1)[0]
