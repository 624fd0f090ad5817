"""The command ``list``: what a run would measure, in which blocks, and for how long."""

from __future__ import annotations

from rich.console import Console

from bench.cpus import usable_cpus
from bench.grid import Grid, plan_blocks
from bench.record import Quantity
from bench.run.schedule import PREPARING, default_budget_s
from bench.trial import Trial

# Rough costs per trial on one CPU, for an estimate: ResNet-18 to -152 took 0.2 to 2 s each.
COUNT_S = 0.7
MEMORY_S = 1.0
# A worker imports torch before it does anything.
START_S = 6.0
_NAMES = {"trunk": "trunk", "control": "control", "eager": "eager trunk"}


def print_plan(
    grid: Grid, budget_s: float | None, quantities: tuple[Quantity, ...], console: Console
) -> None:
    """Every block with its variants, then the estimate."""
    trials = grid.trials()
    blocks = plan_blocks(trials)
    setting = None
    for number, block in enumerate(blocks, start=1):
        if block.setting != setting:
            setting = block.setting
            console.print(f"[bold]{setting.key}[/bold]", highlight=False, soft_wrap=True)
        names = [
            arm.trial.variant.se.label if arm.role == "variant" else _NAMES[arm.role]
            for arm in block.arms
        ]
        arms = ", ".join(names)
        console.print(f"{number:>5}  {arms}", highlight=False, soft_wrap=True)
    counted = len(dict.fromkeys(trial.counted for trial in trials))
    estimates = {
        "counts": START_S + COUNT_S * counted / usable_cpus(),
        "memory": START_S + sum(map(_memory_s, trials)) / usable_cpus(),
        "latency": budget_s or default_budget_s(blocks),
    }
    chosen = {name: estimates[name] for name in quantities}
    parts = ", ".join(f"{name} {_minutes(cost)}" for name, cost in chosen.items())
    plural = "s" if len(blocks) > 1 else ""
    console.print(
        f"\n{len(trials)} trials, {len(blocks)} block{plural}; "
        f"about {_minutes(sum(chosen.values()))} in all ({parts}).\n"
        "Latency ends earlier where all intervals are narrow enough.",
        highlight=False,
    )


def _memory_s(trial: Trial) -> float:
    """What is exported or compiled is so ahead of being weighed."""
    takes = PREPARING.get(trial.path.executor)
    return MEMORY_S if takes is None else MEMORY_S + takes.first_s + takes.later_s


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
