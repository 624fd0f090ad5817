"""What each command of the command line does; the exit code comes back.

A command imports what it needs when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import limited
from bench.environment import has_cuda
from bench.options import axes_given, grid_from, with_given
from bench.trial import LAYOUTS, Device
from bench.waiting import variables

if TYPE_CHECKING:
    import pandas as pd

    from bench.grid import Grid

# What is measured once all checks have passed: one dtype, and no compiler, lest it take hours. By
# batch 256 in half precision what was predicted of a GPU is compared with what others published.
_MEASURED = {
    "cuda": ("--batch", "1,256", "--dtype", "float16", "--paths",
             "eager,fused,cuda_graph,fused+cuda_graph"),
    "cpu": ("--batch", "1,8", "--dtype", "float32", "--paths", "eager,fused"),
}  # fmt: skip
# More than the sanitizer's runs may take together, and the checks ahead of them.
_CHECKS_MINUTES = 75


def run(options: argparse.Namespace) -> int:
    """Measure the grid."""
    from bench.run.command import Request
    from bench.run.command import run as run_grid
    from bench.summary import console_for_output

    # Before the machine is described and workers are started, which inherit them.
    os.environ.update(variables(options.waiting))
    return run_grid(
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


def selfcheck(options: argparse.Namespace) -> int:
    """Check the fast path on a device, then measure it there."""
    if options.checks_only and options.budget is not None:
        raise ValueError("budget is for measuring, and must not come with --checks-only")
    out = options.out or Path("results") / _own_folder(options.device)
    checks = ["bench.measure.selfcheck", "--device", options.device, "--out", str(out)]
    code = limited.run(
        [sys.executable, "-m", *checks], name="the process of checks", minutes=_CHECKS_MINUTES
    ).returncode
    # In bench.measure.selfcheck, which needs torch, the report has this name.
    _raise_if_killed(code, "the process of checks", f"; {out / 'selfcheck.txt'} names the check")
    if code or options.checks_only:
        return code
    grid = (
        "bench", "run", "--device", options.device, "--architectures", "resnet18,resnet50",
        "--reductions", "16", "--layout", ",".join(LAYOUTS), *_MEASURED[options.device],
        "--out", str(out),
    )  # fmt: skip
    budget = () if options.budget is None else ("--budget", f"{options.budget}s")
    code = subprocess.call([sys.executable, "-m", *grid, *budget])
    _raise_if_killed(code, "the process that measures")
    return code


def _raise_if_killed(code: int, name: str, hint: str = "") -> None:
    """A process that a signal has ended says nothing itself, and no shell tells its code.

    Raises:
        RuntimeError: if ``code`` is that of such a process; names it and the signal.
    """
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        raise RuntimeError(f"{name} was ended by {known.get(-code, f'signal {-code}')}{hint}")


def _own_folder(device: Device) -> str:
    """The GPU's name, to be committed; results/cpu holds a run that is, so the CPU's is another."""
    if device == "cpu":
        return "selfcheck-cpu"
    return re.sub(r"[^a-z0-9]+", "-", _gpu().lower()).strip("-")


def _gpu() -> str:
    """The name of the GPU that is torch's first, which need not be the first of the machine.

    Asked in a process of its own: this one would keep memory of the GPU while others measure.
    """
    ask = "import torch; print(torch.cuda.get_device_name(0))"
    done = limited.run(
        [sys.executable, "-c", ask], name="asking torch for its GPU", minutes=5, is_captured=True
    )
    return done.stdout.strip() if done.returncode == 0 else "cuda"


def predict(options: argparse.Namespace) -> int:
    """Pass all flags on to the prediction, which needs torch."""
    code = subprocess.call([sys.executable, "-m", "bench.measure.predict", *options.rest])
    _raise_if_killed(code, "the process that predicts")
    return code


def list_grid(options: argparse.Namespace) -> int:
    """Show the grid."""
    from bench.run.listing import print_plan
    from bench.summary import console_for_output

    print_plan(_grid(options), options.budget, options.quantities, console_for_output())
    return 0


def _grid(options: argparse.Namespace) -> Grid:
    grid = grid_from(options)
    if "cuda" in grid.devices and not has_cuda():
        print("note: there is no CUDA device here, so its trials are unsupported", file=sys.stderr)
    return grid


def table(options: argparse.Namespace) -> int:
    """Make the tables anew."""
    from bench.summary import console_for_output, print_summary
    from bench.table import write_table

    frame = _frame(options.out)
    print_summary(frame, console_for_output())
    for path in write_table(frame, options.out):
        print(path)
    return 0


def plot(options: argparse.Namespace) -> int:
    """Draw the plots anew."""
    from bench.plots import draw

    for path in draw(_frame(options.out), options.out / "plots"):
        print(path)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Compare two trials, or two runs."""
    from bench.compare.command import Request
    from bench.compare.command import compare as compare_by_name
    from bench.summary import console_for_output

    names = (options.a, options.b)
    compare_by_name(Request(names, options.out, options.json, options.csv), console_for_output())
    return 0


def history(options: argparse.Namespace) -> int:
    """Follow variants through the runs of the past."""
    from bench.history.command import Request, show
    from bench.quantities import QUANTITIES
    from bench.summary import console_for_output

    unknown = [name for name in options.quantities if name not in QUANTITIES]
    if unknown:
        raise ValueError(
            f"--quantities must be from {', '.join(QUANTITIES)}, got {', '.join(unknown)}"
        )
    folders = tuple(options.folders or [Path("results")])
    request = Request(folders, options.git, options.quantities, options.trials, options.out)
    show(request, console_for_output())
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a run in the format of another tool."""
    from bench.exports.command import export as export_run

    print(export_run(options.out, options.to, options.file))
    return 0


def exact(options: argparse.Namespace) -> int:
    """Hold counts against the baseline, or make it anew."""
    from bench.gate.exact_command import check, update

    return update(options.baseline) if options.update else check(options.baseline)


def gate(options: argparse.Namespace) -> int:
    """Compare this source's times with another revision's."""
    from bench.cpus import default_threads
    from bench.gate import command

    grid = with_given(replace(command.GRID, threads=(default_threads(),)), options)
    if len(grid.threads) != 1:
        raise ValueError(f"threads must be one number for all of a gate, got {grid.threads}")
    if grid.devices != ("cpu",):
        raise ValueError("device must be cpu: the gate times no GPU yet")
    factories = _factories(options)
    packages = dict.fromkeys(name.partition(":")[0].split(".")[0] for name in factories)
    if len(packages) > 1 and options.package is None:
        raise ValueError(
            f"factory must be of one package, got {', '.join(packages)}: run a gate for each, or "
            "name with --package what is to be taken from both revisions"
        )
    package = options.package or next(iter(packages), "se_models")
    return command.gate(
        command.Request(
            base=options.base,
            package=package,
            variants=factories or command.of_trials(grid.trials()),
            threads=grid.threads[0],
            threshold=options.threshold / 100,
            budget_s=options.budget,
            out=options.out,
            seed=secrets.randbits(31) if options.seed is None else options.seed,
            even_if_equal=options.even_if_equal,
        )
    )


def _factories(options: argparse.Namespace) -> dict[str, str]:
    """What is measured in place of the grid, by name; nothing where none is given.

    Raises:
        ValueError: if one is misspelt, or comes with flags of the grid that it replaces.
    """
    factories = {name: name for name in options.factory or ()}
    for name in factories:
        if not all(name.partition(":")):
            raise ValueError(f"factory must be MODULE:NAME, got {name!r}")
    given = [axis for axis in axes_given(options) if axis != "threads"]
    if factories and given:
        raise ValueError(
            "factory must come without flags of the grid, which it replaces, got "
            f"{', '.join(given)}"
        )
    return factories


def _frame(out: Path) -> pd.DataFrame:
    from bench.run.run_file import ledger_in
    from bench.table import trials_frame

    return trials_frame(ledger_in(out))
