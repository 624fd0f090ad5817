"""The command line: ``python -m bench`` and ``se-bench``.

Here stands what may be asked for, and how it is told; `bench.commands` does it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import commands
from bench.options import add_effort, add_grid, add_out, percent, seconds
from bench.trial import DEVICES

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
EXPORT = """\
Write the run in --out as JSON that another tool reads.

pytest-benchmark: its own JSON, every trial by its raw times, with the paired
overhead in extra_info; for `pytest-benchmark compare` and services that read it.
github-action-benchmark: tool customSmallerIsBetter; latency and time over the trunk
with their intervals, memory and multiply-adds, each in its own unit.
"""
EXPORT_EXAMPLES = """\
examples:
  %(prog)s --to pytest-benchmark
  %(prog)s --to github-action-benchmark --out results/cpu --file bench.json
"""
HISTORY = """\
Follow every variant from run to run, and find where its numbers changed.

Gathers all runs below some folders, or the versions of one that git holds, into
one table, and draws a picture per quantity. A change is a new level that two runs
or more agree on, larger than their intervals and what neighbours differ by.
Where the machine or a package changed, times say nothing, and the line breaks.
"""
HISTORY_EXAMPLES = """\
examples:
  %(prog)s                                     all that lies below results
  %(prog)s nightly --trials standard-r16,inner-r16
  %(prog)s --git results/cpu --quantities overhead,macs
"""
SELFCHECK = """\
Check the fast path on a device, then measure it there.

Versions, every kernel against float64, fused networks of every placement, a
stream of its own, a captured forward replayed with changing inputs, NVIDIA's
compute-sanitizer where it is installed: the first check that fails ends all.
Only then ResNet-18 and -50 are measured by every path that calls operators, into
--out, ready to be committed.
"""
SELFCHECK_EXAMPLES = """\
examples:
  %(prog)s                                     on the CUDA device that is there
  %(prog)s --device cpu --checks-only

exit codes: 0 all is right; 1 something is wrong; 2 there is no such device
"""
EXACT = """\
Hold what can be counted against a committed baseline: an exact gate.

Parameters, multiply-adds, element-wise operations, ideal bytes, operators and
live bytes of ResNet-18 and -50 in every placement, as written and fused, and the
graphs that torch's compiler makes of them. They follow from shapes alone, so
that any machine will do and any difference is real. A variant that vanished or
appeared is a difference too.
"""
EXACT_EXAMPLES = """\
examples:
  %(prog)s                                     compare with results/baseline
  %(prog)s --update                            make the baseline anew, to be committed

exit codes: 0 all is as it was; 1 something differs, or could not be counted; 2 there
is no baseline, or wrong usage
"""
GATE = """\
Hold the times of this source against another revision's: a gate for CI.

Processes of the base and of this source take turns in random order, on the same
machine in the same minutes, beside second processes of the base, the control: what
two processes of the same source differ by fails no build. Several such triples
are started, and what looks slower by more than the threshold is measured again
by fresh ones before it counts. The base is where this branch left --base.
"""
GATE_EXAMPLES = """\
examples:
  %(prog)s --base origin/main                  every placement, as written and fused
  %(prog)s --base HEAD~3 --placements standard,inner --paths eager --budget 3m
  %(prog)s --base v1.2 --threshold 5           only what is 5 %% slower counts
  %(prog)s --base main --factory my_models.speed:small --factory my_models.speed:large

Your own: a factory is called without arguments, and returns a tuple of a model and
its inputs, or a callable without arguments that runs one forward. Its package is
taken from both revisions.

exit codes: 0 nothing has regressed; 1 something has, or no longer runs; 2 it could
not be compared, and a line says why; 130 interrupted
"""
# What is wrong with a path that was given; other OSErrors are the machine's.
_BAD_PATH = (
    FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not commands.predict:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest  # what a command passes on, which has flags of its own
    try:
        return int(options.command(options))
    except (ValueError, *_BAD_PATH) as error:
        print(f"{parser.prog} {options.name}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "; records are kept" if options.command is commands.run else ""
        print(f"{parser.prog} {options.name}: interrupted{kept}", file=sys.stderr)
        return 130
    except (RuntimeError, OSError, ImportError) as error:
        print(f"{parser.prog} {options.name}: {error}", file=sys.stderr)
        return int(options.failure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench" if Path(sys.argv[0]).name == "__main__.py" else "se-bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    run = _add(subparsers, "run", commands.run, "measure the grid", RUN, RUN_EXAMPLES)
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
        subparsers, "list", commands.list_grid, "show the grid, and how long it will take",
        "Show what `run` would measure with the same flags, in which blocks, and for how long.",
        LIST_EXAMPLES,
    )  # fmt: skip
    add_grid(listing)
    add_effort(listing)

    table = _add(
        subparsers, "table", commands.table, "make the tables anew",
        "Make table.csv, table.parquet and table.md from the records in --out, and show them.",
        READ_EXAMPLES,
    )  # fmt: skip
    add_out(table)

    plot = _add(
        subparsers, "plot", commands.plot, "draw the plots anew",
        "Draw the plots (PNG and SVG) from the records in --out, into its folder plots.",
        READ_EXAMPLES,
    )  # fmt: skip
    add_out(plot)

    selfcheck = _add(
        subparsers, "selfcheck", commands.selfcheck,
        "check kernels and captures on a device, then time them", SELFCHECK, SELFCHECK_EXAMPLES,
    )  # fmt: skip
    selfcheck.add_argument("--device", choices=DEVICES, default="cuda")
    selfcheck.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder of the report, records, tables and plots (default: results/ and the device's "
        "name)",
    )  # fmt: skip
    selfcheck.add_argument("--checks-only", action="store_true", help="measure nothing")

    predict = subparsers.add_parser(
        "predict", help="say what SE would cost on a GPU that is not here", add_help=False
    )
    predict.set_defaults(command=commands.predict)

    exact = _add(
        subparsers, "exact", commands.exact, "compare what can be counted with a baseline",
        EXACT, EXACT_EXAMPLES,
    )  # fmt: skip
    exact.add_argument(
        "--baseline", type=Path, default=Path("results/baseline"), metavar="DIR",
        help="folder of the baseline (default: %(default)s)",
    )  # fmt: skip
    exact.add_argument("--update", action="store_true", help="write the baseline")

    gate = _add(
        subparsers, "gate", commands.gate, "compare times with another revision's",
        GATE, GATE_EXAMPLES,
    )  # fmt: skip
    gate.set_defaults(failure=2)  # by the code 1 a build fails for what head does
    gate.add_argument(
        "--base", required=True, metavar="REV", help="what this branch will be merged into"
    )
    gate.add_argument(
        "--threshold", type=percent, default=2.0, metavar="PERCENT",
        help="the least slowdown that counts (default: %(default)s)",
    )  # fmt: skip
    gate.add_argument(
        "--budget", type=seconds, default=240.0, metavar="TIME",
        help="wall time such as 90s or 5m, for as long as a verdict is open (default: 4m)",
    )  # fmt: skip
    gate.add_argument(
        "--factory", action="append", metavar="MODULE:NAME",
        help="what is measured in place of this suite's grid; may be repeated",
    )  # fmt: skip
    gate.add_argument(
        "--package", metavar="NAME",
        help="what is taken from either revision (default: se_models, or the factory's)",
    )  # fmt: skip
    gate.add_argument(
        "--even-if-equal", action="store_true",
        help="measure though the package is what it was, as a check of the machine",
    )  # fmt: skip
    gate.add_argument(
        "--seed", type=int, metavar="N",
        help="of all orders (default: drawn, and told in the report)",
    )  # fmt: skip
    gate.add_argument(
        "--out", type=Path, default=Path("results/local/gate"), metavar="DIR",
        help="folder of gate.json and the picture (default: %(default)s)",
    )  # fmt: skip
    add_grid(
        gate,
        "Every flag takes a comma-separated list and may be repeated; all combinations\n"
        "are compared. By default ResNet-18 in every placement at r = 16, eager and fused.",
        reductions="16",
        paths="eager,fused",
        devices="cpu, which alone is gated yet",
    )

    compare = _add(
        subparsers, "compare", commands.compare, "compare two variants, or two runs",
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

    export = _add(
        subparsers, "export", commands.export, "write a run for another tool",
        EXPORT, EXPORT_EXAMPLES,
    )  # fmt: skip
    export.add_argument(
        "--to", choices=("pytest-benchmark", "github-action-benchmark"), required=True,
        help="the tool that is to read it",
    )  # fmt: skip
    export.add_argument(
        "--file", type=Path, metavar="FILE",
        help="where to write it (default: a file of the tool's name in --out)",
    )  # fmt: skip
    add_out(export)

    history = _add(
        subparsers, "history", commands.history, "follow variants from run to run",
        HISTORY, HISTORY_EXAMPLES,
    )  # fmt: skip
    history.add_argument(
        "folders", type=Path, nargs="*", metavar="DIR",
        help="folders to look for runs in, and below (default: results)",
    )  # fmt: skip
    history.add_argument(
        "--git", type=Path, metavar="PATH",
        help="a run's folder or records file: follow its versions in git's history instead",
    )  # fmt: skip
    history.add_argument(
        "--quantities", type=_names, default="overhead,latency", metavar="LIST",
        help="what to follow: overhead, latency, resident-growth, live-peak, macs, operators "
        "(default: %(default)s)",
    )  # fmt: skip
    history.add_argument(
        "--trials", type=_names, default="", metavar="LIST",
        help="only those whose key holds any of these, such as standard-r16 (default: all)",
    )  # fmt: skip
    history.add_argument(
        "--out", type=Path, default=Path("results/local/history"), metavar="DIR",
        help="folder of the table and the pictures (default: %(default)s)",
    )  # fmt: skip
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: object,
    summary: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command, failure=1)
    return parser
