"""``python -m bench.gate.proof``: record whether the gate holds, and tell what was found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cpus import default_threads
from bench.gate.proof import experiment, report
from bench.gate.proof.lines import Parameters
from bench.gate.signals import terminated_as_by_ctrl_c
from bench.git import RevisionError
from bench.method.processes import MeasuringError
from bench.method.recording import RefusedError
from bench.options import percent, seconds

FOLDER = Path("results/gate")
_NAME = "python -m bench.gate.proof"


def main(arguments: Sequence[str] | None = None) -> int:
    """Record and report; the exit code is 0, 1 (it failed), 2 (refused) or 130 (Ctrl-C)."""
    options = _parser().parse_args(arguments)
    parameters = Parameters(
        size=options.size,
        threads=options.threads,
        gate_s=options.gate_budget,
        rival_s=options.rival_time,
        slower_pct=options.slower,
        seed=options.seed,
    )
    effort = experiment.Effort(options.runs, options.budget)
    try:
        with terminated_as_by_ctrl_c():
            if not options.report_only:
                experiment.record(Path.cwd(), options.out, parameters, effort, _tell)
            for path in report.write(options.out):
                _tell(str(path))
    except KeyboardInterrupt:
        print(f"{_NAME}: interrupted; what was recorded is kept", file=sys.stderr)
        return 130
    except (RefusedError, RevisionError) as error:
        print(f"{_NAME}: error: {error}", file=sys.stderr)
        return 2
    except (MeasuringError, OSError, RuntimeError) as error:
        print(f"{_NAME}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_NAME, description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="of each of three kinds")
    parser.add_argument(
        "--budget", type=seconds, default=7200.0, metavar="TIME", help="for all runs (default: 2h)"
    )
    parser.add_argument(
        "--gate-budget", type=seconds, default=75.0, metavar="TIME",
        help="of one gate: some 45 s of measuring, and starting processes (default: 75s)",
    )  # fmt: skip
    parser.add_argument(
        "--rival-time", type=seconds, default=5.0, metavar="TIME",
        help="what pytest-benchmark measures a variant in a tree (default: 5s)",
    )  # fmt: skip
    parser.add_argument(
        "--slower", type=percent, default=5.0, metavar="PERCENT",
        help="by how much one placement is made slower (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--size", type=int, default=224, metavar="PIXELS")
    parser.add_argument("--threads", type=int, default=default_threads(), metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of runs")
    parser.add_argument("--report-only", action="store_true", help="record nothing more")
    return parser


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
