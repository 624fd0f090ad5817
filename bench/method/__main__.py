"""``python -m bench.method``: try the method where the truth is known.

A command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

OUT = Path("results/method")
DESCRIPTION = """\
Try the method where the truth is known: do its intervals cover it, and how
often are its verdicts wrong?
"""
COVERAGE = """\
Simulate whole runs, and count how often their 95 % intervals hold the truth.

Made-up ratios (normal noise, heavy tails, drift, two modes, autocorrelation,
with and without process effects) arrive process by process until the rule
that stops real runs says so. Every way of making intervals that was considered
meets the same ratios. Leaves coverage.csv and its picture in --out; with the
default --out, `nox -s readme` then puts the tables into docs/coverage.md.
"""
COVERAGE_EXAMPLES = """\
examples:
  %(prog)s                                    as in docs/coverage.md, some minutes
  %(prog)s --runs 100 --out results/local     a first look, some seconds
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    parser = argparse.ArgumentParser(prog="python -m bench.method", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_coverage(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print(f"{parser.prog} {options.name}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{parser.prog} {options.name}: {error}", file=sys.stderr)
        return 1


def _add_coverage(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "coverage",
        help="simulate runs, and count what their intervals cover",
        description=COVERAGE,
        epilog=COVERAGE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", type=_count, default=2000, metavar="N",
        help="simulated runs of each kind of noise and process effect (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR",
        help="folder of the table and the picture (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(command=_coverage)


def _coverage(options: argparse.Namespace) -> int:
    from bench.method.coverage import CELLS, coverage, write

    frame = coverage(options.runs, CELLS, lambda line: print(line, flush=True))
    for path in write(frame, options.out):
        print(path)
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
