"""What makes pairs break down when other work takes the CPUs, and what survives it.

Two equal trunks and SE as published, in rounds, by fresh processes: with
threads that wait in several ways, one thread, threads bound to CPUs, pages that
all threads touched first, and another runtime's threads beside; in quiet and
under a load that is started for the purpose. Told are wall time and the
process's CPU time.
"""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bench.cpus import allowed_cpus, usable_cpus
from bench.files import replacing
from bench.method.load import LOADS, under
from bench.record import Round, decode, select
from bench.stats import Array, Evidence, evidence, quotient, spread
from bench.waiting import variables, with_openmp

CONTENTION = "contention.csv"
ARMS = "none,none,standard-r16"
# With thread pools of their own, which should sleep while other arms run.
RUNTIMES = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class Policy:
    """A way for the threads of a forward to work together; flags are `bench.measure.pairs`'s.

    ``needs`` is a package that must be installed, if any.
    """

    name: str
    threads: int
    variables: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    needs: str | None = None

    @property
    def runs_here(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def policies(cpus: int) -> tuple[Policy, ...]:
    """Those that are compared, installed or not: on all CPUs, but for the last two."""
    spinning = [
        Policy(f"spin count {count:,}", cpus, {"GOMP_SPINCOUNT": str(count)})
        for count in (100_000, 10_000, 1_000)
    ]
    return (
        Policy("deployed", cpus),
        *spinning,
        Policy("passive", cpus, variables("passive")),
        Policy("bound to cores", cpus, {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}),
        Policy("first touched by all", cpus, flags=("--touch", "all")),
        *(
            Policy(
                f"beside {runtime}",
                cpus,
                flags=("--arms", f"{ARMS},none@{runtime}"),
                needs=runtime,
            )
            for runtime in RUNTIMES
        ),
        Policy("one thread", 1),
        Policy("one thread, pinned", 1, {"GOMP_CPU_AFFINITY": str(min(allowed_cpus()))}),
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
    ways = [policy for policy in policies(cpus) if policy.runs_here]
    for number in range(processes):
        for load in LOADS:
            tell(f"process {number + 1} of {processes} of each policy, {load}")
            with under(load, cpus):
                for policy in rng.sample(ways, len(ways)):
                    rounds = _measure(policy, seconds, size, rng.getrandbits(31))
                    yield {"load": load, "policy": policy.name, **_summary(rounds)}


def _measure(policy: Policy, seconds: float, size: int, seed: int) -> list[Round]:
    command = [
        sys.executable, "-m", "bench.measure.pairs", "--threads", str(policy.threads),
        "--size", str(size), "--seconds", str(seconds), "--seed", str(seed), *policy.flags,
    ]  # fmt: skip
    # What the caller has set must not reach a policy that sets none.
    done = subprocess.run(
        command, env=with_openmp(policy.variables), stdout=subprocess.PIPE, check=True
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
    """A line per load and policy, and whether waiting and load change what SE costs."""
    return f"{_table(frame)}\n\n{_differences(frame)}\n"


def _table(frame: pd.DataFrame) -> str:
    """Typical speed and scatter, how far processes disagree, and what they agree on."""
    groups = frame.groupby(["load", "policy"], sort=False)
    table = pd.DataFrame(
        {
            "processes": groups.size(),
            "trunk, ms": groups["trunk_ms"].median().map("{:.1f}".format),
            "scatter of pairs, %": groups["scatter_pct"].median().map("{:.1f}".format),
            "A/A, %": groups["control_pct"].apply(_centre),
            "A/A, least to most": groups["control_pct"].apply(_ends),
            "A/A by CPU time, %": groups["control_cpu_pct"].apply(_centre),
            "SE, %": groups["se_pct"].apply(_centre),
            "SE by CPU time, %": groups["se_cpu_pct"].apply(_centre),
        }
    ).reset_index()
    order = [*LOADS, *(policy.name for policy in policies(1))]
    places = {name: place for place, name in enumerate(order)}
    table = table.sort_values(
        ["load", "policy"], key=lambda column: column.map(places).fillna(len(places))
    )
    text = ["left"] * 2 + ["right"] * (len(table.columns) - 2)
    return table.to_markdown(index=False, disable_numparse=True, colalign=text)


def _differences(frame: pd.DataFrame) -> str:
    """Of a model with SE by one way over the same by another, each over its own trunk."""
    lines = []
    for column, clock in (("se_pct", "wall time"), ("se_cpu_pct", "CPU time")):
        for one, other in (
            (("quiet", "deployed"), ("quiet", "passive")),
            (("loaded", "passive"), ("quiet", "passive")),
        ):
            known = [_evidence(frame, column, *way) for way in (one, other)]
            if known[0] is None or known[1] is None:
                continue
            change = quotient(known[0], known[1]).interval().scaled(100, -100)
            lines.append(
                f"- By {clock} the ratio of SE to its trunk, {one[1]} in {one[0]} over {other[1]} "
                f"in {other[0]}: {change.estimate:+.1f} [{change.low:+.1f}, {change.high:+.1f}] %."
            )
    return "\n".join(lines)


def _evidence(frame: pd.DataFrame, column: str, load: str, policy: str) -> Evidence | None:
    rows = frame[(frame["load"] == load) & (frame["policy"] == policy)]
    return evidence([np.array([1 + overhead / 100]) for overhead in rows[column]])


def _ends(values: pd.Series) -> str:
    return f"{values.min():+.1f} to {values.max():+.1f}"


def _centre(values: pd.Series) -> str:
    """The mean of the processes, and its standard error."""
    return f"{values.mean():+.1f} ± {values.std(ddof=1) / len(values) ** 0.5:.1f}"
