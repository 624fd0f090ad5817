"""The command ``run``, from what was asked for to tables and plots."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.environment import describe_machine, describe_source
from bench.grid import Grid, plan_blocks
from bench.ledger import Ledger
from bench.plots import draw
from bench.record import Quantity
from bench.run.kept import kept_for_workers
from bench.run.passes import measure_latency
from bench.run.progress import display_for
from bench.run.run_file import open_run
from bench.run.schedule import Target, default_budget_s
from bench.run.stocktaking import take_stock
from bench.run.sweep import WORKER, Plan, Sweep
from bench.summary import minutes, print_summary, report
from bench.table import NOT_MEASURED, trials_frame, write_table
from bench.trial import Trial

INTERRUPTED = 130


@dataclass(frozen=True)
class Request:
    """What a person asked ``run`` for."""

    grid: Grid
    out: Path
    fresh: bool
    budget_s: float | None
    precision: float
    quantities: tuple[Quantity, ...]
    timeout_s: float
    worker: tuple[str, ...] = WORKER


def run(request: Request, console: Console) -> int:
    """Measure what is left, then show and draw all that is known; the exit code.

    After Ctrl-C, or SIGTERM, what was measured is shown all the same.
    """
    started = time.monotonic()
    trials = tuple(request.grid.trials())  # what cannot be is refused before a file is touched
    file = open_run(request.out, describe_machine(), describe_source(), fresh=request.fresh)
    console.print(file.note, highlight=False)
    with (
        file.journal,
        kept_for_workers(request.out, goes_on=file.goes_on) as kept,
        display_for(console) as display,
    ):
        plan = _plan(request, trials, file.ledger, kept)
        completed = _complete(Sweep(plan, file.journal, file.ledger, display))
    if not completed and not file.ledger.environments:
        console.print("Interrupted before a worker had started: nothing is known yet.")
        return INTERRUPTED
    frame = trials_frame(file.ledger)
    print_summary(frame, console)
    written = [*write_table(frame, request.out), *draw(frame, request.out / "plots")]
    console.print(f"\n{len(written)} tables and plots in {request.out}", highlight=False)
    console.print(report(file.ledger), highlight=False)
    console.print(f"Wall time {minutes(time.monotonic() - started)}.", highlight=False)
    if not completed:
        without = " without --fresh" if request.fresh else ""
        console.print(f"Interrupted; nothing is lost. The same command{without} goes on from here.")
        return INTERRUPTED
    return _tell_what_is_left(plan, frame, console, fresh=request.fresh)


def _plan(request: Request, trials: tuple[Trial, ...], ledger: Ledger, kept: Path) -> Plan:
    blocks = tuple(plan_blocks(trials, list(ledger.blocks().values())))
    budget_s = request.budget_s or default_budget_s(blocks)
    return Plan(
        trials=trials,
        blocks=blocks,
        target=Target(request.precision, budget_s),
        kept=kept,
        quantities=request.quantities,
        timeout_s=request.timeout_s,
        worker=request.worker,
    )


def _complete(sweep: Sweep) -> bool:
    """Carry out the plan; False if a signal ended it early."""

    async def phases() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await take_stock(sweep)
        if "latency" in sweep.plan.quantities:
            await measure_latency(sweep)

    try:
        asyncio.run(phases())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return False
    return True


def _tell_what_is_left(plan: Plan, frame: pd.DataFrame, console: Console, *, fresh: bool) -> int:
    """Name what failed, and how many intervals are wider than asked; 1 if all has failed."""
    frame = frame[frame["trial"].isin([trial.key for trial in plan.trials])]
    failed = frame[~frame["status"].isin(["ok", NOT_MEASURED])]
    for (setting, status, reason), rows in failed.groupby(
        ["setting", "status", "reason"], sort=False
    ):
        what = rows["trial"].iloc[0] if len(rows) == 1 else f"{len(rows)} trials of {setting}"
        # Unbroken, to be copied; and what an error says may look like markup.
        line = f"{what}: {status}, {reason}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    measured = frame[frame["overhead_pct"].notna()]
    half_width = (measured["overhead_high_pct"] - measured["overhead_low_pct"]) / 2
    wide = int((~(half_width <= 100 * plan.target.precision)).sum())  # null if nothing bounds it
    if wide:
        console.print(
            f"{wide} of {len(measured)} intervals are wider than "
            f"±{100 * plan.target.precision:g} %: the same command with a larger --budget "
            f"(now {plan.target.budget_s:.0f}s){' and no --fresh' if fresh else ''} goes on "
            "from here.",
            highlight=False,
        )
    return 0 if frame["status"].isin(["ok", NOT_MEASURED]).any() else 1
