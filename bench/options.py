"""What a person may ask for on the command line, and the grid that follows from it."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from bench.cpus import default_threads
from bench.environment import has_cuda
from bench.grid import LATE_STAGE, OTHER_PATHS, Grid
from bench.record import Quantity
from bench.trial import DEVICES, DTYPES, EXECUTORS, LAYOUTS, TRANSFORMS, Device
from bench.trial import Path as RunPath
from bench.waiting import WAITING
from se_models import flags
from se_models.config import ARCHITECTURES, PLACEMENTS

T = TypeVar("T")

DEFAULT_OUT = Path("results/local")
_SE_FLAGS = ("placements", "reductions", "stages", "blocks", "min_hiddens")
_GRID = """\
Every flag takes a comma-separated list and may be repeated; all combinations
are measured. The plain trunk and a control always ride along."""
_PATHS = (
    f"eager, and each placement at r = 16 by {', '.join(path.label for path in OTHER_PATHS)} too"
)
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="DIR",
        help="folder of the records, tables and plots (default: %(default)s)",
    )


def add_grid(
    parser: argparse.ArgumentParser,
    description: str = _GRID,
    *,
    reductions: str = "2,4,8,16,32",
    paths: str = _PATHS,
    devices: str = "cpu, and cuda too where there is one",
) -> None:
    """The flags that span the grid; what is not given stays None, to tell it from a default.

    The keywords are what help calls the defaults.
    """
    grid = parser.add_argument_group("the grid", description)
    _add_axis(
        grid, "--architectures", _name, f"from {', '.join(ARCHITECTURES)} (default: resnet18)"
    )
    _add_axis(grid, "--placements", _name, f"from {', '.join(PLACEMENTS)} (default: all)")
    _add_axis(grid, "--reductions", _integer, f"reduction ratios (default: {reductions})")
    _add_axis(
        grid, "--stages", flags.stages,
        "which stages carry SE: all, or layer numbers joined by +, as in all,4,3+4 (default: all)",
    )  # fmt: skip
    _add_axis(
        grid, "--blocks", flags.blocks,
        "which blocks of a stage: all, last, or indices joined by +, as in 0+1 (default: all)",
    )  # fmt: skip
    _add_axis(
        grid,
        "--min-hidden",
        _integer,
        "least widths of SE's bottleneck (default: 1)",
        "min_hiddens",
    )
    _add_axis(grid, "--batch", _integer, "batch sizes (default: 1)", "batches")
    _add_axis(grid, "--size", _integer, "input sizes in pixels (default: 224)", "sizes")
    _add_axis(
        grid, "--threads", _integer,
        f"threads (default: physical cores within the CPU quota, here {default_threads()})",
    )  # fmt: skip
    _add_axis(
        grid, "--layout", _name, f"from {', '.join(LAYOUTS)} (default: contiguous)", "layouts"
    )
    _add_axis(grid, "--dtype", _name, f"from {', '.join(DTYPES)} (default: float32)", "dtypes")
    _add_axis(
        grid, "--paths", _path,
        f"how to run the models: a transform from {', '.join(TRANSFORMS)} and an executor from "
        f"{', '.join(EXECUTORS)}, joined by +; the one left out is none or eager (default: "
        f"{paths})",
    )  # fmt: skip
    _add_axis(
        grid, "--device", _name, f"from {', '.join(DEVICES)} (default: {devices})", "devices",
    )  # fmt: skip


def add_effort(parser: argparse.ArgumentParser) -> None:
    effort = parser.add_argument_group("how well, and how long")
    add_budget(
        effort, "70s for each block of up to 6 variants, and more where paths take long to prepare"
    )
    effort.add_argument(
        "--precision",
        type=percent,
        default=1.0,
        metavar="PERCENT",
        help="half-width of the 95 %% interval at which an overhead is precise enough, in percent "
        "of the trunk's time (default: %(default)s)",
    )
    effort.add_argument(
        "--waiting",
        choices=WAITING,
        default="deployed",
        help="how threads wait for one another: as they do where a model is deployed, or "
        "passively, which survives other work on the same CPUs (default: %(default)s)",
    )
    effort.add_argument(
        "--quantities",
        type=_quantities,
        default=get_args(Quantity),
        metavar="LIST",
        help=f"what to find out, from {','.join(get_args(Quantity))} (default: all)",
    )


def add_budget(parser: argparse._ActionsContainer, default: str) -> None:
    parser.add_argument(
        "--budget",
        type=seconds,
        metavar="TIME",
        help="wall time for measuring latency, such as 90s, 10m or 1h, workers' start-up and what "
        f"earlier runs spent included (default: {default})",
    )


def grid_from(options: argparse.Namespace) -> Grid:
    """The grid that the flags span.

    The late-stage variants and the other paths belong to the default choice of
    SE: they are left out as soon as any flag chooses SE otherwise.
    """
    devices: tuple[Device, ...] = ("cpu", "cuda") if has_cuda() else ("cpu",)
    chooses_se = any(getattr(options, flag) is not None for flag in _SE_FLAGS)
    grid = Grid(
        devices=devices,
        threads=(default_threads(),),
        extra=() if chooses_se else LATE_STAGE,
        other_paths=() if chooses_se or options.paths is not None else OTHER_PATHS,
    )
    return with_given(grid, options)


def with_given(grid: Grid, options: argparse.Namespace) -> Grid:
    """The grid with those axes that flags have set."""
    given = {name: tuple(dict.fromkeys(getattr(options, name))) for name in axes_given(options)}
    return replace(grid, **given)


def axes_given(options: argparse.Namespace) -> list[str]:
    """The axes of the grid that flags have set."""
    return [name for name in Grid.__dataclass_fields__ if getattr(options, name, None) is not None]


def seconds(text: str) -> float:
    """A time such as 90, 90s, 10m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"must be a time such as 90s, 10m or 1h, got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def _add_axis(
    group: argparse._ArgumentGroup,
    flag: str,
    parse: Callable[[str], Any],
    text: str,
    field: str | None = None,
) -> None:
    def items(value: str) -> list[Any]:
        return [parse(item.strip()) for item in value.split(",")]

    group.add_argument(
        flag,
        dest=field or flag.removeprefix("--"),
        type=items,
        action="extend",
        metavar="LIST",
        help=text,
    )


def percent(text: str) -> float:
    """A positive number, in percent."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def positive_integer(text: str) -> int:
    """A number to count by."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _name(text: str) -> str:
    return text


def _path(text: str) -> RunPath:
    try:
        return RunPath.named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a list of integers, got {text!r}") from None


def _quantities(text: str) -> Sequence[str]:
    chosen = tuple(part.strip() for part in text.split(","))
    for name in chosen:
        if name not in get_args(Quantity):
            raise argparse.ArgumentTypeError(
                f"must be from {', '.join(get_args(Quantity))}, got {name!r}"
            )
    return chosen
