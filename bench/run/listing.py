"""The command ``list``: what a run would measure, in which blocks, and for how long."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.environment import usable_cpus
from bench.grid import Grid, plan_blocks
from bench.record import Quantity
from bench.run.schedule import SECONDS_PER_BLOCK

# Rough costs per trial on one CPU, for an estimate: ResNet-18 to -152 took 0.2 to 2 s each.
COUNT_S = 0.7
MEMORY_S = 1.0
# A worker imports torch before it does anything.
START_S = 6.0


def print_plan(
    grid: Grid, budget_s: float | None, quantities: tuple[Quantity, ...], console: Console
) -> None:
    """Every block with its variants, then the estimate."""
    trials = grid.trials()
    blocks = plan_blocks(trials)
    table = Table(box=None, header_style="bold")
    for name in ("block", "setting", "variants, with trunk and control"):
        table.add_column(name, justify="right" if name == "block" else "left", overflow="fold")
    for number, block in enumerate(blocks, start=1):
        labels = ", ".join(trial.variant.se.label for trial in block.variants)
        table.add_row(str(number), block.setting.key, labels or "none")
    console.print(table)
    counted = len(dict.fromkeys(trial.counted for trial in trials))
    estimates = {
        "counts": START_S + COUNT_S * counted / usable_cpus(),
        "memory": START_S + MEMORY_S * len(trials) / usable_cpus(),
        "latency": budget_s or SECONDS_PER_BLOCK * len(blocks),
    }
    chosen = {name: estimates[name] for name in quantities}
    parts = ", ".join(f"{name} {_minutes(cost)}" for name, cost in chosen.items())
    console.print(
        f"\n{len(trials)} trials in {len(blocks)} blocks; about {_minutes(sum(chosen.values()))} "
        f"in all ({parts}). Latency ends earlier where all intervals are narrow enough.",
        highlight=False,
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
