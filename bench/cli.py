"""The command line: ``python -m bench`` and ``se-bench``.

Here stands what may be asked for; `bench.texts` teaches it, `bench.commands` does it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import commands, texts
from bench.options import add_budget, add_effort, add_grid, add_out, percent, seconds
from bench.trial import DEVICES

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
        description=texts.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    run = _add(subparsers, "run", commands.run, "measure the grid", texts.RUN, texts.RUN_EXAMPLES)
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
        texts.LIST_EXAMPLES,
    )  # fmt: skip
    add_grid(listing)
    add_effort(listing)

    table = _add(
        subparsers, "table", commands.table, "make the tables anew",
        "Make table.csv, table.parquet and table.md from the records in --out, and show them.",
        texts.READ_EXAMPLES,
    )  # fmt: skip
    add_out(table)

    plot = _add(
        subparsers, "plot", commands.plot, "draw the plots anew",
        "Draw the plots (PNG and SVG) from the records in --out, into its folder plots.",
        texts.READ_EXAMPLES,
    )  # fmt: skip
    add_out(plot)

    selfcheck = _add(
        subparsers, "selfcheck", commands.selfcheck,
        "check kernels and captures on a device, then time them",
        texts.SELFCHECK, texts.SELFCHECK_EXAMPLES,
    )  # fmt: skip
    selfcheck.add_argument("--device", choices=DEVICES, default="cuda")
    selfcheck.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder of the report, records, tables and plots (default: results/ and the GPU's "
        "name, or results/selfcheck-cpu)",
    )  # fmt: skip
    add_budget(selfcheck, "as bench run's, 70s for each block of up to 6 variants")
    selfcheck.add_argument("--checks-only", action="store_true", help="measure nothing")

    predict = subparsers.add_parser(
        "predict", help="say what SE would cost on a GPU that is not here", add_help=False
    )
    predict.set_defaults(command=commands.predict, failure=1)

    exact = _add(
        subparsers, "exact", commands.exact, "compare what can be counted with a baseline",
        texts.EXACT, texts.EXACT_EXAMPLES,
    )  # fmt: skip
    exact.set_defaults(failure=2)  # by the code 1 a build fails for what differs
    exact.add_argument(
        "--baseline", type=Path, default=Path("results/baseline"), metavar="DIR",
        help="folder of the baseline (default: %(default)s)",
    )  # fmt: skip
    exact.add_argument("--update", action="store_true", help="write the baseline")

    gate = _add(
        subparsers, "gate", commands.gate, "compare times with another revision's",
        texts.GATE, texts.GATE_EXAMPLES,
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
        texts.COMPARE, texts.COMPARE_EXAMPLES,
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
        texts.EXPORT, texts.EXPORT_EXAMPLES,
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
        texts.HISTORY, texts.HISTORY_EXAMPLES,
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
