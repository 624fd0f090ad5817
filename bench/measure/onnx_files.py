"""How far ONNX files are off the models in them: ``python -m bench.measure.onnx_files``.

Each is exported, run by onnxruntime and compared with eager PyTorch as
``python -m se_models export`` does it, weights that are random and calm
included, and then thrown away. Leaves ``differences.csv`` in --out, a row for
each file.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

import se_models
from bench.files import write_rows
from bench.options import positive_integer
from se_models.config import PLACEMENTS, Placement, SEConfig
from se_models.export import Check, export
from se_models.untrained import settle

DIFFERENCES = "differences.csv"
OUT = Path("results/export")
ARCHITECTURES = ("resnet18", "resnet50")
MODEL = "model"
# The one stage that is exported alone, too, of SE as published.
STAGE = "layer3"
STAGE_OF: Placement = "standard"


@dataclass(frozen=True)
class Exported:
    """Of one file: the largest difference over the batch sizes it was run with.

    Attributes:
        part: ``model``, or the stage that is alone in the file.
        size: of the images, in pixels.
        batches: how many images it was run with, joined by +.
        difference: max|a - b| / max|b|, of onnxruntime's outputs and those of eager PyTorch.
        limit: of ``difference``; a file that is off by more is refused.
    """

    architecture: str
    placement: str
    part: str
    size: int
    batches: str
    difference: float
    limit: float
    torch: str
    onnxruntime: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Export everything; leave ``differences.csv`` in --out."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.onnx_files",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    parser.add_argument(
        "--size", type=positive_integer, default=224, metavar="PX",
        help="of the images (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)  # or be told so before the minutes it takes
    rows: list[dict[str, object]] = []
    for architecture, placement, part in files():
        print(f"{architecture}, {placement}, {part}", flush=True)
        check = exported(architecture, placement, part, options.size)
        rows.append(asdict(row(architecture, placement, part, options.size, check)))
    write_rows(options.out / DIFFERENCES, rows)
    print(options.out / DIFFERENCES)


def files() -> Iterator[tuple[str, Placement, str]]:
    """Architecture, placement and part of each: whole models, then the stage alone."""
    for architecture in ARCHITECTURES:
        for placement in PLACEMENTS:
            yield architecture, placement, MODEL
        yield architecture, STAGE_OF, STAGE


def exported(architecture: str, placement: Placement, part: str, size: int) -> Check:
    """What the check says of a file that is thrown away."""
    torch.manual_seed(0)
    model = getattr(se_models, architecture)(se=SEConfig(placement))
    settle(model, torch.randn(4, 3, size, size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        return export(model, path, stage=None if part == MODEL else part, size=size)


def row(architecture: str, placement: Placement, part: str, size: int, check: Check) -> Exported:
    """With the versions of what made the file and ran it."""
    return Exported(
        architecture=architecture,
        placement=placement,
        part=part,
        size=size,
        batches="+".join(map(str, check.differences)),
        difference=check.largest,
        limit=check.limit,
        torch=torch.__version__,
        onnxruntime=version("onnxruntime"),
    )


if __name__ == "__main__":
    main()
