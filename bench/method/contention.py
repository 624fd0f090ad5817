"""What makes pairs break down when other work takes the CPUs, and what survives it.

Two equal trunks and SE as published, in rounds, by fresh processes: with
threads that wait in several ways, one thread, threads bound to CPUs; in quiet
and under a load that is started for the purpose. Told are wall time and the
process's CPU time.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bench.cpus import usable_cpus
from bench.files import replacing
from bench.method.load import LOADS, under
from bench.record import Round, decode, select
from bench.stats import Array, spread
from bench.waiting import variables

CONTENTION = "contention.csv"
# What OpenMP reads; what the caller has set must not reach a policy that sets none.
_OPENMP_PREFIXES = ("OMP_", "GOMP_", "KMP_")


@dataclass(frozen=True)
class Policy:
    """A way for the threads of a forward to work together."""

    name: str
    threads: int
    variables: dict[str, str] = field(default_factory=dict)


def policies(cpus: int) -> tuple[Policy, ...]:
    """Those that are compared: all CPUs, but for the last two."""
    spinning = [
        Policy(f"spin count {count:,}", cpus, {"GOMP_SPINCOUNT": str(count)})
        for count in (100_000, 10_000, 1_000)
    ]
    return (
        Policy("deployed", cpus),
        *spinning,
        Policy("passive", cpus, variables("passive")),
        Policy("bound to cores", cpus, {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}),
        Policy("one thread", 1),
        Policy("one thread, pinned", 1, {"GOMP_CPU_AFFINITY": "0"}),
    )


def contention(
    processes: int, seconds: float, size: int, *, tell: Callable[[str], None]
) -> pd.DataFrame:
    """A row per process, policy and load; policies take turns in random order.

    Args:
        processes: of each policy under each load.
        seconds: that each of them measures.
        size: of the input, in pixels.
        tell: is given a line now and then.
    """
    return pd.DataFrame(list(_rows(processes, seconds, size, tell)))


def _rows(
    processes: int, seconds: float, size: int, tell: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    rng = random.Random(0)
    cpus = usable_cpus()
    ways = policies(cpus)
    for number in range(processes):
        for load in LOADS:
            tell(f"process {number + 1} of {processes} of each policy, {load}")
            with under(load, cpus):
                for policy in rng.sample(ways, len(ways)):
                    rounds = _measure(policy, seconds, size, number)
                    yield {"load": load, "policy": policy.name, **_summary(rounds)}


def _measure(policy: Policy, seconds: float, size: int, seed: int) -> list[Round]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_OPENMP_PREFIXES)
    }
    command = [
        sys.executable, "-m", "bench.measure.pairs", "--threads", str(policy.threads),
        "--size", str(size), "--seconds", str(seconds), "--seed", str(seed),
    ]  # fmt: skip
    done = subprocess.run(
        command, env={**inherited, **policy.variables}, stdout=subprocess.PIPE, check=True
    )
    return list(select(map(decode, done.stdout.splitlines()), Round))


def _summary(rounds: list[Round]) -> dict[str, float]:
    """Of one process: trunk, control and SE, by both clocks."""
    wall_s = np.array([round_.samples_s for round_ in rounds])
    cpu_s = np.array([round_.cpu_samples_s for round_ in rounds], dtype=float)
    scatter = spread(wall_s[:, 1] / wall_s[:, 0])
    return {
        "rounds": len(rounds),
        "trunk_ms": 1e3 * float(np.median(wall_s[:, 0])),
        "scatter_pct": 100 * scatter if scatter is not None else float("nan"),
        "control_pct": _overhead_pct(wall_s, 1),
        "se_pct": _overhead_pct(wall_s, 2),
        "control_cpu_pct": _overhead_pct(cpu_s, 1),
        "se_cpu_pct": _overhead_pct(cpu_s, 2),
    }


def _overhead_pct(times_s: Array, arm: int) -> float:
    return 100 * float(np.median(times_s[:, arm] / times_s[:, 0]) - 1)


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """``contention.csv`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CONTENTION) as draft:
        frame.to_csv(draft, index=False)
    return folder / CONTENTION


def markdown(frame: pd.DataFrame) -> str:
    """A line per load and policy: typical speed and scatter, and how far processes disagree."""
    groups = frame.groupby(["load", "policy"], sort=False)
    table = pd.DataFrame(
        {
            "processes": groups.size(),
            "trunk, ms": groups["trunk_ms"].median().map("{:.1f}".format),
            "scatter of pairs, %": groups["scatter_pct"].median().map("{:.1f}".format),
            "A/A by wall time, %": groups["control_pct"].apply(_ends),
            "A/A by CPU time, %": groups["control_cpu_pct"].apply(_ends),
            "SE by wall time, %": groups["se_pct"].apply(_centre),
            "SE by CPU time, %": groups["se_cpu_pct"].apply(_centre),
        }
    ).reset_index()
    text = ["left"] * 2 + ["right"] * (len(table.columns) - 2)
    return table.to_markdown(index=False, disable_numparse=True, colalign=text) + "\n"


def _ends(values: pd.Series) -> str:
    return f"{values.min():+.1f} to {values.max():+.1f}"


def _centre(values: pd.Series) -> str:
    """The mean of the processes, and its standard error."""
    return f"{values.mean():+.1f} ± {values.std(ddof=1) / len(values) ** 0.5:.1f}"
