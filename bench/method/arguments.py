"""What a person may ask of ``python -m bench.method``, and what its ``--help`` teaches."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from bench.cpus import default_threads
from bench.method.load import LOADS
from bench.options import positive_integer, seconds
from bench.run.schedule import PROCESSES
from bench.waiting import WAITING

# What is committed, and the documents show; and what a person records on a machine of their own.
COMMITTED, OUT = Path("results/method"), Path("results/local")
LENGTHS_S = (60.0,)

_DESCRIPTION = """\
Try the method where the truth is known: do its intervals cover it, and how
often are its verdicts wrong?
"""
_COVERAGE = """\
Simulate whole runs, and count how often their 95 % intervals hold the truth.

Made-up ratios (normal noise, heavy tails, drift, two modes, autocorrelation,
with and without process effects, of processes that are independent or not)
arrive process by process until the rule that stops real runs says so. Every
way of making intervals that was considered meets the same ratios. Leaves
coverage.csv and its picture in --out; with the default --out, `nox -s readme`
then puts the tables into docs/coverage.md.
"""
_COVERAGE_EXAMPLES = """\
examples:
  %(prog)s                                    as in docs/coverage.md, some minutes
  %(prog)s --runs 100 --out results/local     a first look, some seconds
"""
_CONTENTION = """\
Measure equal models and SE in pairs, with threads that wait in several ways.

Each way in fresh processes, in quiet and under a load that the command starts
itself. Shows which pairs break down when other work takes the CPUs, and what
survives it. Leaves contention.csv in --out. Run nothing else meanwhile.
"""
_CONTENTION_EXAMPLES = """\
examples:
  %(prog)s                                     as in docs/method.md, a quarter of an hour
  %(prog)s --processes 2 --seconds 2 --out results/local
"""
_PLUGIN = """\
Time copies of one model by sessions of pytest-benchmark, in pairs: as it is, and
with --benchmark-interleave. How far do medians of equal models differ?

In quiet and under a load that the command starts itself. plugin.csv in --out
grows with every pair: Ctrl-C loses the one under way, and the same command on the
same machine and source goes on; anything else begins anew. plugin.txt has what two
terminals showed. Run nothing else meanwhile.
"""
_PLUGIN_EXAMPLES = """\
examples:
  %(prog)s                                     as in docs/pytest.md, a quarter of an hour
  %(prog)s --pairs 2 --seconds 0.5 --out results/local
"""
_RUN = """\
Compare equal models, and models slowed by a known amount, by this suite and by
three other tools, at equal wall time of measuring.

Every set of processes is one comparison of each model by each method. Each
load condition and size has a recording of its own in --out (quiet-64px.jsonl),
which every process adds a line to as it ends: Ctrl-C loses the process under
way, and the same command goes on where it stood. Ends by making the tables, as
`proof` does, and telling what they say. Run nothing else meanwhile; the
competing load is started here.
"""
_RUN_EXAMPLES = """\
examples:
  %(prog)s                                     as in docs/proof.md, two hours at most
  %(prog)s --load quiet --budget 20m
  %(prog)s --size 224 --length 60s --load quiet --budget 25m
  %(prog)s --budget 2h                         more sets, on top of those recorded
"""
_PROOF = """\
Make proof.csv and its picture from the recordings in --out, finished or not.

With --out results/method, `nox -s readme` then puts the tables into docs/proof.md.
"""
_PROOF_EXAMPLES = """\
examples:
  %(prog)s
  %(prog)s --lengths 60s,5m    also of as many sets together as last so long
"""

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``name`` says which one was asked for."""
    made = argparse.ArgumentParser(prog="python -m bench.method", description=_DESCRIPTION)
    commands = made.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_coverage(commands)
    _add_contention(commands)
    _add_plugin(commands)
    _add_run(commands)
    _add_proof(commands)
    return made


def _add_coverage(commands: _Commands) -> None:
    added = _command(commands, "coverage", _COVERAGE, _COVERAGE_EXAMPLES,
                     "simulate runs, and count what their intervals cover", COMMITTED)  # fmt: skip
    _add_number(added, "--runs", 2000, "simulated runs of each kind of noise and process effect")


def _add_contention(commands: _Commands) -> None:
    added = _command(commands, "contention", _CONTENTION, _CONTENTION_EXAMPLES,
                     "measure what breaks pairs down when other work takes the CPUs",
                     COMMITTED)  # fmt: skip
    _add_number(added, "--processes", 5, "processes of each way of waiting under each load")
    _add_number(added, "--seconds", 5, "how long each of them measures")
    _add_size(added)


def _add_plugin(commands: _Commands) -> None:
    added = _command(commands, "plugin", _PLUGIN, _PLUGIN_EXAMPLES,
                     "measure what the pytest plugin makes of equal models", COMMITTED)  # fmt: skip
    _add_number(added, "--pairs", 20, "of sessions under each load, at least two for an answer")
    added.add_argument(
        "--models", type=_several, default=4, metavar="N",
        help="equal ones in a session, two or more to differ (default: %(default)s)",
    )  # fmt: skip
    added.add_argument(
        "--seconds", type=seconds, default="1.5s", metavar="TIME",
        help="how long a session measures each of them (default: %(default)s)",
    )  # fmt: skip
    _add_size(added)
    _add_threads(added)


def _add_run(commands: _Commands) -> None:
    added = _command(commands, "run", _RUN, _RUN_EXAMPLES,
                     "measure what this suite and other tools find of known slowdowns",
                     OUT)  # fmt: skip
    added.add_argument(
        "--load", choices=(*LOADS, "both"), default="both",
        help="with other work on the CPUs, or without (default: %(default)s, quiet first)",
    )  # fmt: skip
    added.add_argument(
        "--waiting", choices=WAITING,
        help="how threads wait for one another (default: deployed in quiet, passive under load)",
    )  # fmt: skip
    added.add_argument(
        "--budget", type=seconds, default="60m", metavar="TIME",
        help="wall time of each load condition, such as 20m or 1h, start-up of processes and "
        "what earlier runs spent included (default: %(default)s)",
    )  # fmt: skip
    added.add_argument(
        "--sets", type=positive_integer, metavar="N",
        help="at most so many sets (default: what fits)",
    )  # fmt: skip
    added.add_argument(
        "--length", type=seconds, default="15s", metavar="TIME",
        help="how long each method measures all models in a set (default: %(default)s)",
    )  # fmt: skip
    _add_number(added, "--equal", 4, "models that equal the trunk, beside the slowed ones")
    _add_number(added, "--processes", PROCESSES, "processes that share a comparison by this suite")
    _add_number(
        added, "--truth-processes", 12, "processes that find the true size of the slowdowns"
    )
    added.add_argument(
        "--truth-seconds", type=seconds, default="20s", metavar="TIME",
        help="how long each of them measures (default: %(default)s)",
    )  # fmt: skip
    _add_size(added)
    _add_threads(added)
    added.add_argument("--seed", type=int, default=0, help="of all orders (default: %(default)s)")
    added.add_argument(
        "--fresh", action="store_true", help="begin anew; old recordings keep another name"
    )


def _add_proof(commands: _Commands) -> None:
    added = _command(commands, "proof", _PROOF, _PROOF_EXAMPLES,
                     "make the tables and the picture of what `run` recorded", OUT)  # fmt: skip
    added.add_argument(
        "--lengths", type=_lengths, default=LENGTHS_S, metavar="LIST",
        help="how long the comparisons last that are made of several sets taken together "
        "(default: 60s)",
    )  # fmt: skip


def _command(
    commands: _Commands, name: str, description: str, examples: str, about: str, out: Path
) -> argparse.ArgumentParser:
    added = commands.add_parser(
        name,
        help=about,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.add_argument(
        "--out", type=Path, default=out, metavar="DIR",
        help="folder of recordings, tables and pictures (default: %(default)s)",
    )  # fmt: skip
    return added


def _add_number(added: argparse.ArgumentParser, flag: str, default: int, about: str) -> None:
    told = f"{about} (default: %(default)s)"
    added.add_argument(flag, type=positive_integer, default=default, metavar="N", help=told)


def _add_size(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--size", type=positive_integer, default=64, metavar="PX",
        help="input size in pixels (default: %(default)s)",
    )  # fmt: skip


def _add_threads(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--threads", type=positive_integer, default=default_threads(), metavar="N",
        help="threads of a forward (default: physical cores within the CPU quota, here "
        "%(default)s)",
    )  # fmt: skip


def _several(text: str) -> int:
    count = positive_integer(text)
    if count < 2:
        raise argparse.ArgumentTypeError(f"must be 2 or more, got {count}")
    return count


def _lengths(text: str) -> tuple[float, ...]:
    return tuple(seconds(part) for part in text.split(","))
