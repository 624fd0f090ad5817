"""A table as a run of ResNet-18 leaves it, made up, and what to ask of the figures of it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

RATIOS = (2, 4, 8, 16, 32)
TRUNK_PARAMS, TRUNK_MACS, TRUNK_OPERATORS, TRUNK_S = 11_689_512, 1_814_073_344, 68, 0.028
# Overhead in percent at r=16, and SE parameters there; pre and identity see a block's input.
COST_PCT = {
    "standard": 6.1, "pre": 5.0, "post": 7.2, "identity": 4.6, "inner": 5.6, "prenorm": 6.4,
}  # fmt: skip
SE_PARAMS_16 = {"pre": 45_312, "identity": 45_312}


MEASURED = [
    "live_peak_bytes", "resident_growth_bytes", "overhead_pct", "overhead_low_pct",
    "overhead_high_pct", "p50_s", "p95_s", "p99_s", "latency_s", "latency_low_s",
    "latency_high_s", "throughput_per_s",
]  # fmt: skip


def synthetic(architecture: str = "resnet18", *, seed: int = 1) -> pd.DataFrame:
    """A table as a grid over one architecture gives it: all placements and ratios, some extras."""
    random = np.random.default_rng(seed)
    rows = [_row(architecture, random, "none", None)]
    for placement in COST_PCT:
        rows += [_row(architecture, random, placement, ratio) for ratio in RATIOS]
    rows += [
        _row(architecture, random, "standard", 16, stages="4"),
        _row(architecture, random, "standard", 16, stages="3+4"),
        _row(architecture, random, "prenorm", 8, stages="3", blocks="last"),
        _row(architecture, random, "standard", 16, min_hidden=32),
    ]
    frame = pd.DataFrame(rows)
    frame["reduction"] = frame["reduction"].astype("Int64")
    failed = frame["se"] == "post-r2"
    frame.loc[failed, ["status", "reason"]] = ["crashed", "exit code -11"]
    frame.loc[failed, MEASURED] = math.nan
    return frame


def _row(
    architecture: str,
    random: np.random.Generator,
    placement: str,
    ratio: int | None,
    *,
    stages: str = "1+2+3+4",
    blocks: str = "all",
    min_hidden: int = 1,
) -> dict[str, Any]:
    """One trial; what SE costs grows with the blocks that carry it, and a little with 1/r."""
    share = {"1+2+3+4": 1.0, "3+4": 0.5, "4": 0.25, "3": 0.13}[stages] * (ratio is not None)
    spread = 16 / ratio if ratio else 0.0
    weight = {"1+2+3+4": 1.0, "3+4": 0.94, "4": 0.75, "3": 0.19 / 2}[stages]
    se_params = round(SE_PARAMS_16.get(placement, 89_080) * spread * weight * (ratio is not None))
    se_params += 12_288 * (min_hidden > 1)
    overhead = share * COST_PCT.get(placement, 0.0) * (0.9 + 0.1 * math.sqrt(spread))
    overhead += 0.2 * random.standard_normal() * (ratio is not None)
    half = float(random.uniform(0.3, 0.7)) if ratio else 0.0
    suffix = ("" if stages == "1+2+3+4" else f"-layer{stages}") + ("-last" * (blocks == "last"))
    suffix += f"-min{min_hidden}" if min_hidden > 1 else ""
    se = f"{placement}-r{ratio}{suffix}" if ratio else "none"
    workload = "cpu-float32-contiguous-b1-224px-4t@none+eager"
    macs = TRUNK_MACS + se_params
    elementwise = 21_000_000 + round(1_400_000 * share * (1.3 if placement == "post" else 1))
    latency = TRUNK_S * (1 + overhead / 100)
    slack = TRUNK_S * half / 100
    return {
        "setting": f"{architecture}@{workload}",
        "trial": f"{architecture}/{se}@{workload}",
        "architecture": architecture,
        "se": se,
        "placement": placement,
        "reduction": ratio,
        "stages": stages,
        "blocks": blocks,
        "min_hidden": min_hidden,
        "bias": True,
        "device": "cpu",
        "dtype": "float32",
        "layout": "contiguous",
        "batch": 1,
        "size": 224,
        "threads": 4,
        "path": "eager",
        "transform": "none",
        "executor": "eager",
        "status": "ok",
        "reason": None,
        "params": TRUNK_PARAMS + se_params,
        "se_params": se_params,
        "macs": macs,
        "elementwise_ops": elementwise,
        "flops": 2 * macs + elementwise,
        "ideal_bytes": 107_000_000 + 4 * se_params + round(9_500_000 * share),
        "operators": TRUNK_OPERATORS + round(8 * 8 * share),
        "live_peak_bytes": 57_700_000 + 4 * se_params + round(800_000 * share),
        "resident_growth_bytes": 96_000_000 + 4 * se_params + random.integers(-400_000, 1_500_000),
        "device_peak_bytes": None,
        "overhead_pct": overhead if ratio else None,
        "overhead_low_pct": overhead - half if ratio else None,
        "overhead_high_pct": overhead + 1.1 * half if ratio else None,
        "noise_low_pct": -0.6 + 0.1 * share,
        "noise_high_pct": 0.5,
        "noise_sd_pct": 0.4,
        "p50_s": latency,
        "p95_s": 1.1 * latency,
        "p99_s": 1.3 * latency,
        "latency_s": latency,
        "latency_low_s": latency - slack,
        "latency_high_s": latency + 1.1 * slack,
        "throughput_per_s": 1 / latency,
        "rounds": 120,
        "processes": 5,
        "block": "b1",
        "rank": "1=",
        "machine": "Intel(R) Xeon(R) Processor @ 2.60GHz",
    }


def few(*se: str) -> pd.DataFrame:
    """Some rows of the synthetic table, in the order they are named."""
    frame = synthetic()
    return pd.concat([frame[frame["se"] == name] for name in se], ignore_index=True)


def with_overhead(frame: pd.DataFrame, **overhead_pct: tuple[float, float, float]) -> pd.DataFrame:
    """The table with overheads and their intervals, named by SE label with ``_`` for ``-``."""
    changed = frame.copy()
    for name, values in overhead_pct.items():
        columns = ["overhead_pct", "overhead_low_pct", "overhead_high_pct"]
        changed.loc[changed["se"] == name.replace("_", "-"), columns] = values
    return changed


def texts(figure: Figure) -> str:
    """All that is written in a figure."""
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in (*axes.texts, *axes.get_yticklabels())]
    return " ".join(" ".join(found).split("\n")).replace("\N{NO-BREAK SPACE}", " ")


def contrast(one: Any, other: Any) -> float:
    """The contrast ratio of two colours (WCAG 2.1), from 1 to 21."""
    bright = []
    for colour in (one, other):
        part = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        bright.append(float(linear @ (0.2126, 0.7152, 0.0722)))
    return (max(bright) + 0.05) / (min(bright) + 0.05)


def overlap(one: Bbox, other: Bbox) -> bool:
    return bool(one.overlaps(other))


def overlapping(axes: Axes) -> list[tuple[str, str]]:
    """Neighbouring tick labels that overlap."""
    ticks = axes.get_xticklabels()
    return [
        (one.get_text(), other.get_text())
        for one, other in pairwise(ticks)
        if one.get_window_extent().overlaps(other.get_window_extent())
    ]
