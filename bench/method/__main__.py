"""``python -m bench.method``: try the method where the truth is known.

A command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.method.arguments import LENGTHS_S, parser
from bench.method.load import LOADS, Load
from bench.waiting import Waiting

# As models are deployed where nothing disturbs; what survives a load where there is one.
WAITING: dict[Load, Waiting] = {"quiet": "deployed", "loaded": "passive"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (refused) or 130 (Ctrl-C)."""
    options = parser().parse_args(arguments)
    named = f"python -m bench.method {options.name}"
    try:
        return COMMANDS[options.name](options)
    except KeyboardInterrupt:
        print(f"{named}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{named}: {error}", file=sys.stderr)
        return 1


def _coverage(options: argparse.Namespace) -> int:
    from bench.method.coverage import CELLS, coverage, write

    frame = coverage(options.runs, CELLS, _tell)
    for path in write(frame, options.out):
        print(path)
    return 0


def _contention(options: argparse.Namespace) -> int:
    from bench.method.contention import contention, write

    frame = contention(options.processes, options.seconds, options.size, tell=_tell)
    print(write(frame, options.out))
    return 0


def _plugin(options: argparse.Namespace) -> int:
    from bench.method.plugin import Asked, record

    asked = Asked(options.models, options.seconds, options.size, options.threads)
    try:
        for path in record(asked, options.pairs, WAITING, options.out, _tell):
            print(path)
    except RuntimeError as error:
        print(f"python -m bench.method plugin: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> int:
    from bench.environment import describe_machine, describe_source
    from bench.method import recording
    from bench.method.experiment import SLOWDOWNS_PCT, Effort, record
    from bench.method.lines import Parameters
    from bench.method.processes import MeasuringError

    machine, source = describe_machine(), describe_source()
    effort = Effort(options.budget, options.sets)
    loads = LOADS if options.load == "both" else (options.load,)
    try:
        for load in loads:
            path = recording.path_of(options.out, load, options.size)
            kept = recording.set_aside(path) if options.fresh else None
            _tell(f"recording {path}" + (f"; the earlier one is kept in {kept}" if kept else ""))
            asked = Parameters(
                load=load,
                waiting=options.waiting or WAITING[load],
                size=options.size,
                threads=options.threads,
                processes=options.processes,
                length_s=options.length,
                equal_models=options.equal,
                slowdowns_pct=SLOWDOWNS_PCT,
                truth_processes=options.truth_processes,
                truth_s=options.truth_seconds,
                seed=options.seed,
            )
            record(asked, options.out, machine, source, effort, _tell)
    except recording.RefusedError as error:
        print(f"python -m bench.method run: error: {error}", file=sys.stderr)
        return 2
    except MeasuringError as error:
        print(f"python -m bench.method run: {error}", file=sys.stderr)
        return 1
    return _make_proof(options.out, LENGTHS_S)


def _proof(options: argparse.Namespace) -> int:
    return _make_proof(options.out, options.lengths)


def _make_proof(folder: Path, lengths_s: Sequence[float]) -> int:
    import pandas as pd

    from bench.method.proof import PROOF
    from bench.method.proof_files import write
    from bench.method.proof_report import summary
    from bench.method.recording import RefusedError

    try:
        for path in write(folder, lengths_s):
            print(path)
        print(summary(pd.read_csv(folder / PROOF)), end="")
    except RefusedError as error:
        print(f"python -m bench.method proof: error: {error}", file=sys.stderr)
        return 2
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "coverage": _coverage,
    "contention": _contention,
    "plugin": _plugin,
    "run": _run,
    "proof": _proof,
}


if __name__ == "__main__":
    sys.exit(main())
