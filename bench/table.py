"""From records to one tidy DataFrame, a row per trial, units in the columns' names.

Overheads are of the trial against the plain trunk in the same rounds, in
percent, with their 95 % intervals. ``noise_*`` is the same of the control arm,
a second trunk, in the same block: what two equal models differ by there.
``latency_s`` is the trunk's median time multiplied by the paired ratio, which
compares variants better than their own times do: those were taken at
different moments. The trunk's median is over all its visits in the setting.
``cpu_overhead_*`` is the overhead by the process's CPU time.
``verdict`` judges all overheads of the table as one grid, but for blocks whose
control arm differs from its trunk beyond doubt; ``detectable_pct`` is the
smallest overhead that would mostly have been called slower in this grid. A row that is
``disturbed`` was measured in a breakdown and could not be measured again.
``vs_eager_*`` is the time over that of the plain trunk in eager PyTorch, which
rides beside other paths, minus one, in percent. ``prepare_s`` is what it took from
the model to its first output the first time, when no compiled code was found:
the most of all visits. ``wrong_by`` is the most by which an output was off
float64. ``resident_growth_bytes`` and ``device_peak_bytes`` leave preparing out, but
for the eager path and, of the latter, for capturing a CUDA graph: replays write
where the capture's tensors lay. ``device_pool_bytes`` is what the graph's pool has
reserved for that, a part of ``device_reserved_bytes``. Operators and bytes are those
of eager execution; for executors that do not call operators one by one they are missing.
On a GPU ``host_s`` is what launching a forward takes, and ``device_s`` what its kernels
take when they need not wait for launches: the larger one bounds it.
``p50_s``, ``p95_s`` and ``p99_s`` are of the own times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.doubt import doubtful_blocks
from bench.files import replacing
from bench.ledger import Ledger
from bench.record import Arm, Quantity, Role
from bench.stats import Evidence, Interval, evidence, ranks, spread
from bench.trial import Trial
from bench.verdict import Verdict, detectable, judge

Row = dict[str, Any]

PERCENTILES = (50, 95, 99)
# The status of a row whose latency was not tried, or not yet.
NOT_MEASURED = "not measured"
# Columns that may hold no number, and no fraction either.
_INTEGERS = (
    "reduction", "params", "se_params", "macs", "elementwise_ops", "flops", "ideal_bytes",
    "operators", "live_peak_bytes", "resident_growth_bytes", "device_peak_bytes",
    "device_reserved_bytes", "device_pool_bytes", "rounds", "processes",
)  # fmt: skip
# Columns of real numbers, which may all be missing.
_REALS = (
    "overhead_pct", "overhead_low_pct", "overhead_high_pct",
    "detectable_pct", "cpu_overhead_pct", "cpu_overhead_low_pct", "cpu_overhead_high_pct",
    "noise_pct", "noise_low_pct", "noise_high_pct", "noise_sd_pct",
    "vs_eager_pct", "vs_eager_low_pct", "vs_eager_high_pct",
    "p50_s", "p95_s", "p99_s", "latency_s", "latency_low_s", "latency_high_s", "throughput_per_s",
    "prepare_s", "wrong_by", "host_s", "device_s",
)  # fmt: skip


def trials_frame(ledger: Ledger) -> pd.DataFrame:
    """A row for every trial that was planned, whatever came of it.

    Sorted by setting, then by overhead; the trunk stands first and what was
    not measured last.
    """
    by_key = {trial.key: trial for trial in ledger.planned}
    if not by_key:
        return pd.DataFrame()
    frame = pd.DataFrame([_row(ledger, trial) for trial in by_key.values()])
    frame["verdict"], frame["detectable_pct"] = _verdicts(ledger, by_key.values())
    for column in _INTEGERS:
        frame[column] = frame[column].astype("Int64")
    for column in _REALS:
        frame[column] = frame[column].astype("float64")

    def differ(one: str, other: str) -> bool:
        return ledger.differ(by_key[one], by_key[other])

    frame = frame.groupby("setting", sort=False, group_keys=False)[list(frame.columns)].apply(
        lambda rows: _ranked(rows, differ)
    )
    return frame.reset_index(drop=True)


def write_table(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """``table.csv``, ``table.parquet`` and ``table.md`` in ``folder``; their paths."""
    from bench.summary import markdown

    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Path], object]] = {
        "table.csv": lambda path: frame.to_csv(path, index=False),
        "table.parquet": lambda path: frame.to_parquet(path, index=False),
        "table.md": lambda path: path.write_text(markdown(frame), encoding="utf-8"),
    }
    for name, write in writers.items():
        with replacing(folder / name) as draft:
            write(draft)
    return [folder / name for name in writers]


def is_disturbed(row: pd.Series) -> bool:
    """Whether a row's times were measured in a breakdown; not so of one that has none."""
    return bool(pd.notna(row.get("disturbed")) and row["disturbed"])


def _verdicts(
    ledger: Ledger, trials: Collection[Trial]
) -> tuple[list[Verdict | None], list[float | None]]:
    """Of every trial, None where there is no overhead; all are judged as one grid."""
    known = [_evidence(ledger, trial) for trial in trials]
    measured = [each for each in known if each is not None]
    judged, reached = iter(judge(measured)), iter(detectable(measured))
    verdicts = [None if each is None else next(judged) for each in known]
    reach = [None if each is None else next(reached) for each in known]
    doubtful = doubtful_blocks(ledger)
    return (
        [
            "undecided" if verdict and _block(ledger, trial) in doubtful else verdict
            for trial, verdict in zip(trials, verdicts, strict=True)
        ],
        [None if each is None or math.isinf(each) else 100 * each for each in reach],
    )


def _evidence(ledger: Ledger, trial: Trial) -> Evidence | None:
    block = _block(ledger, trial)
    if block is None or trial == trial.trunk:
        return None
    return ledger.evidence(block, Arm(trial, "variant"))


def _row(ledger: Ledger, trial: Trial) -> Row:
    variant, workload, path = trial.variant, trial.workload, trial.path
    se = variant.se
    is_trunk = se.placement == "none"
    return {
        "setting": trial.setting.key,
        "trial": trial.key,
        "architecture": variant.architecture,
        "se": se.label,
        "placement": se.placement,
        "reduction": None if is_trunk else se.reduction,
        "stages": "" if is_trunk else "+".join(map(str, se.stages)),
        "blocks": "" if is_trunk else _blocks(se.blocks),
        "min_hidden": se.min_hidden,
        "bias": se.bias,
        "device": workload.device,
        "dtype": workload.dtype,
        "layout": workload.layout,
        "batch": workload.batch,
        "size": workload.size,
        "threads": workload.threads,
        "path": path.label,
        "transform": path.transform,
        "executor": path.executor,
        "machine": _machine(ledger, trial),
        **_status(ledger, trial),
        **_counts(ledger, trial),
        **_memory(ledger, trial),
        **_latency(ledger, trial),
    }


def _blocks(blocks: str | tuple[int, ...]) -> str:
    return blocks if isinstance(blocks, str) else "+".join(map(str, blocks))


def _machine(ledger: Ledger, trial: Trial) -> str:
    if not ledger.environments:
        return "an unknown machine"  # the run was stopped before a worker had started
    environment = ledger.environments[0]
    if trial.workload.device == "cuda":
        return environment.runtime.gpu or "no GPU"
    return environment.machine.cpu


def _status(ledger: Ledger, trial: Trial) -> Row:
    """What is missing because it failed, latency first; else whether latency is there."""
    quantities: tuple[Quantity, ...] = ("latency", "memory", "counts")
    for quantity in quantities:
        failure = ledger.failure(trial, quantity)
        if failure is not None:
            reason = f"{quantity}: {failure.reason}"
            return {"status": failure.status, "reason": reason}
    return {"status": "ok" if _block(ledger, trial) else NOT_MEASURED, "reason": None}


def _counts(ledger: Ledger, trial: Trial) -> Row:
    names = (
        "params", "se_params", "macs", "elementwise_ops", "ideal_bytes", "operators",
        "live_peak_bytes",
    )  # fmt: skip
    counts = ledger.counts.get(trial.counted)
    row: Row = {name: getattr(counts, name, None) for name in names}
    if not trial.path.calls_operators:
        row |= dict.fromkeys(("ideal_bytes", "operators", "live_peak_bytes"))
    row["flops"] = None if counts is None else 2 * counts.macs + counts.elementwise_ops
    return row


def _memory(ledger: Ledger, trial: Trial) -> Row:
    memory = ledger.memory.get(trial)
    names = (
        "resident_growth_bytes", "device_peak_bytes", "device_reserved_bytes", "device_pool_bytes",
    )  # fmt: skip
    return {name: getattr(memory, name, None) for name in names}


def _block(ledger: Ledger, trial: Trial) -> str | None:
    return ledger.block_of(trial, "trunk" if trial == trial.trunk else "variant")


def _latency(ledger: Ledger, trial: Trial) -> Row:
    row: Row = dict.fromkeys((*_REALS, "rounds", "processes", "block", "disturbed"))
    block = _block(ledger, trial)
    if block is None:
        return row
    trunk, control = Arm(trial.trunk, "trunk"), Arm(trial.trunk, "control")
    trunk_logs = ledger.trunk_visits(trial)
    trunk_s = float(np.median([np.median(log.samples_s(trunk)) for log in trunk_logs]))
    arm, logs = ledger.own_visits(trial)
    if arm == trunk:
        latency = Interval(trunk_s, trunk_s, trunk_s)
    else:
        overhead = ledger.overhead(block, arm)
        assert overhead is not None  # the block was found by its rounds
        latency = overhead.scaled(trunk_s, trunk_s)
        row |= _ends("overhead", "pct", overhead.scaled(100.0))
        row["overhead_pct"] = 100 * overhead.estimate
        cpu_overhead = ledger.overhead(block, arm, "cpu")
        if cpu_overhead is not None:
            row |= _ends("cpu_overhead", "pct", cpu_overhead.scaled(100.0))
            row["cpu_overhead_pct"] = 100 * cpu_overhead.estimate
    row |= _vs_eager(ledger, block, arm)
    row["prepare_s"], row["wrong_by"] = _preparing(ledger, block, arm)
    row["host_s"], row["device_s"] = _apart(ledger, block, arm)
    samples = np.concatenate([log.samples_s(arm) for log in logs])
    row |= dict(zip(("p50_s", "p95_s", "p99_s"), np.percentile(samples, PERCENTILES), strict=True))
    row |= _ends("latency", "s", latency)
    row["latency_s"] = latency.estimate
    row["throughput_per_s"] = trial.workload.batch / latency.estimate
    row["rounds"], row["block"] = len(samples), block
    row["disturbed"] = ledger.is_disturbed(block)
    row["processes"] = len({log.block.worker for log in logs})
    noise = ledger.overhead(block, control)
    if noise is not None:
        row |= _ends("noise", "pct", noise.scaled(100.0))
        row["noise_pct"] = 100 * noise.estimate
        deviation = spread(np.concatenate(ledger.ratios(block, control)))
        row["noise_sd_pct"] = None if deviation is None else 100 * deviation
    return row


def _vs_eager(ledger: Ledger, block: str, arm: Arm) -> Row:
    """The arm's time over that of the eager trunk in the same rounds."""
    trial = arm.trial
    role: Role = "trunk" if trial.path.is_plain else "eager"
    eager = Arm(trial.eager_trunk, role)
    ratio = None if arm == eager else evidence(ledger.ratios(block, arm, eager))
    if ratio is None:
        return {}
    found = ratio.interval().scaled(100.0, -100.0)
    return {"vs_eager_pct": found.estimate, **_ends("vs_eager", "pct", found)}


def _preparing(ledger: Ledger, block: str, arm: Arm) -> tuple[float | None, float | None]:
    """How long it took at most to prepare the arm, and by how much its output was off at most."""
    blocks = [log.block for log in ledger.visits_of(block) if arm in log.block.arms]
    places = [(each, each.arms.index(arm)) for each in blocks]
    took_s = [each.arm_prepare_s[at] for each, at in places if each.arm_prepare_s is not None]
    off = [each.wrong_by[at] for each, at in places]
    return (max(took_s, default=None), max(off, default=None))


def _apart(ledger: Ledger, block: str, arm: Arm) -> tuple[float | None, float | None]:
    """The medians of what host and device take for a forward, where they were told apart."""
    blocks = [log.block for log in ledger.visits_of(block) if arm in log.block.arms]
    host_s = [each.arm_host_s[each.arms.index(arm)] for each in blocks if each.arm_host_s]
    device_s = [each.arm_device_s[each.arms.index(arm)] for each in blocks if each.arm_device_s]
    return (
        float(np.median(host_s)) if host_s else None,
        float(np.median(device_s)) if device_s else None,
    )


def _ends(name: str, unit: str, interval: Interval) -> Row:
    """Null where nothing bounds it, as when one process alone has measured."""
    low, high = (interval.low, interval.high) if interval.is_bounded else (None, None)
    return {f"{name}_low_{unit}": low, f"{name}_high_{unit}": high}


def _ranked(rows: pd.DataFrame, differ: Callable[[str, str], bool]) -> pd.DataFrame:
    """The rows of one setting, the trunk first, then by overhead, with ranks.

    What was measured in a breakdown has none.
    """
    rows = rows.assign(rank=None)
    is_sound = rows["overhead_pct"].notna() & ~rows["disturbed"].eq(True)
    measured = rows[(rows["placement"] != "none") & is_sound]
    names = list(measured["trial"])
    rows.loc[measured.index, "rank"] = ranks(
        list(measured["overhead_pct"]), lambda one, other: differ(names[one], names[other])
    )
    variant = rows["placement"] != "none"
    return rows.assign(_variant=variant).sort_values(
        ["_variant", "overhead_pct"], kind="stable", na_position="last"
    ).drop(columns="_variant")  # fmt: skip
