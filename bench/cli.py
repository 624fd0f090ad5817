"""The command line: ``python -m bench`` and ``se-bench``.

A command imports what it needs when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import has_cuda
from bench.options import add_effort, add_grid, add_out, grid_from, seconds
from bench.waiting import variables

if TYPE_CHECKING:
    import pandas as pd

    from bench.grid import Grid

DESCRIPTION = """\
What Squeeze-and-Excitation costs on this machine, and which way of it to choose.

Counts parameters, arithmetic, bytes and operators of ResNets with SE in every
placement and at every reduction ratio, and measures their memory and their
latency, each in pairs against the same network without SE.
"""
RUN = """\
Measure the grid; leave records, tables and plots in --out.

A run that was stopped goes on where it stood when started again with the same
flags. Overheads are measured in rounds that run each variant, the plain trunk
and a control (a second trunk) once, by several worker processes, until the
intervals are narrow enough or the budget ends.
"""
RUN_EXAMPLES = """\
examples:
  %(prog)s                                     ResNet-18, all placements and ratios
  %(prog)s --architectures resnet50 --placements standard,inner --batch 1,8
  %(prog)s --stages all,4,3+4 --reductions 16  SE late in the network, or everywhere
  %(prog)s --precision 0.5 --budget 30m        narrower intervals
  %(prog)s --reductions 16 --paths eager,folded,fused,compile,openvino
"""
LIST_EXAMPLES = """\
examples:
  %(prog)s                                    what `run` measures if not told otherwise
  %(prog)s --architectures resnet50 --batch 1,8
"""
READ_EXAMPLES = """\
examples:
  %(prog)s                                    from the latest records
  %(prog)s --out results/cpu                  from others
"""
COMPARE = """\
Compare B with A: two trials of the run in --out, or two runs.

Two trials that were measured in one block met in the same rounds, and are
compared there. All else is compared by its overhead over the plain trunk, never
by absolute times. What would not mean anything is refused, and the reason names
what differs: two trials of different settings, two runs on different machines.
Counts (parameters, multiply-adds, bytes, operators, memory) are exact, and are
shown for any two trials.

The verdict is slower, not slower or undecided, of B against A: to ask whether A
is the slower one, swap them.
"""
COMPARE_EXAMPLES = """\
examples:
  %(prog)s none standard-r16                   what SE adds to the plain trunk
  %(prog)s standard-r16 post-r16               two placements
  %(prog)s standard-r16 standard-r16-layer4 --out results/cpu
  %(prog)s none@fused standard-r16@fused       the same by another path
  %(prog)s resnet50/standard-r16 resnet50/inner-r16 --json change.json
  %(prog)s results/before results/after        two versions, on one machine
  %(prog)s results/local/records.1.jsonl results/local --csv change.csv

exit codes: 0 compared, whatever the verdict; 2 refused, or wrong usage
"""
# What is wrong with a path that was given; other OSErrors are the machine's.
_BAD_PATH = (
    FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except (ValueError, *_BAD_PATH) as error:
        print(f"{parser.prog} {options.name}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog} {options.name}: interrupted; records are kept", file=sys.stderr)
        return 130
    except (RuntimeError, OSError) as error:
        print(f"{parser.prog} {options.name}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench" if Path(sys.argv[0]).name == "__main__.py" else "se-bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    run = _add(commands, "run", _run, "measure the grid", RUN, RUN_EXAMPLES)
    add_grid(run)
    add_effort(run)
    add_out(run)
    run.add_argument(
        "--fresh", action="store_true", help="start anew; earlier records are kept, renamed"
    )
    run.add_argument(
        "--timeout",
        type=seconds,
        default=300.0,
        metavar="TIME",
        help="how long a worker may say nothing before it is stopped (default: 5m)",
    )

    listing = _add(
        commands, "list", _list, "show the grid, and how long it will take",
        "Show what `run` would measure with the same flags, in which blocks, and for how long.",
        LIST_EXAMPLES,
    )  # fmt: skip
    add_grid(listing)
    add_effort(listing)

    table = _add(
        commands, "table", _table, "make the tables anew",
        "Make table.csv, table.parquet and table.md from the records in --out, and show them.",
        READ_EXAMPLES,
    )  # fmt: skip
    add_out(table)

    plot = _add(
        commands, "plot", _plot, "draw the plots anew",
        "Draw the plots (PNG and SVG) from the records in --out, into its folder plots.",
        READ_EXAMPLES,
    )  # fmt: skip
    add_out(plot)

    compare = _add(
        commands, "compare", _compare, "compare two variants, or two runs",
        COMPARE, COMPARE_EXAMPLES,
    )  # fmt: skip
    for name in ("a", "b"):
        compare.add_argument(
            name,
            metavar=name.upper(),
            help="a trial by its SE label, architecture/label or key (none: the plain trunk), "
            "with @PATH if not by eager PyTorch; or a run by its folder or records file",
        )
    add_out(compare)
    compare.add_argument("--json", type=Path, metavar="FILE", help="write the comparison there")
    compare.add_argument("--csv", type=Path, metavar="FILE", help="write its rows there")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: object,
    summary: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> int:
    from bench.run.command import Request, run
    from bench.summary import console_for_output

    # Before the machine is described and workers are started, which inherit them.
    os.environ.update(variables(options.waiting))
    return run(
        Request(
            grid=_grid(options),
            out=options.out,
            fresh=options.fresh,
            budget_s=options.budget,
            precision=options.precision / 100,
            quantities=options.quantities,
            timeout_s=options.timeout,
        ),
        console_for_output(),
    )


def _list(options: argparse.Namespace) -> int:
    from bench.run.listing import print_plan
    from bench.summary import console_for_output

    print_plan(_grid(options), options.budget, options.quantities, console_for_output())
    return 0


def _grid(options: argparse.Namespace) -> Grid:
    grid = grid_from(options)
    if "cuda" in grid.devices and not has_cuda():
        print("note: there is no CUDA device here, so its trials are unsupported", file=sys.stderr)
    return grid


def _table(options: argparse.Namespace) -> int:
    from bench.summary import console_for_output, print_summary
    from bench.table import write_table

    frame = _frame(options.out)
    print_summary(frame, console_for_output())
    for path in write_table(frame, options.out):
        print(path)
    return 0


def _plot(options: argparse.Namespace) -> int:
    from bench.plots import draw

    for path in draw(_frame(options.out), options.out / "plots"):
        print(path)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from bench.compare.command import Request, compare
    from bench.summary import console_for_output

    names = (options.a, options.b)
    compare(Request(names, options.out, options.json, options.csv), console_for_output())
    return 0


def _frame(out: Path) -> pd.DataFrame:
    from bench.run.run_file import ledger_in
    from bench.table import trials_frame

    return trials_frame(ledger_in(out))
