"""Made-up baselines."""

from __future__ import annotations

import pandas as pd

from bench.exact import COMPILED, QUANTITIES, Versions
from bench.gate.baseline import NAMES, Baseline

VERSIONS = Versions(torch="2.14.1", torchvision="0.29.1", cpu_capability="AVX2")


def baseline(variants: int = 2, versions: Versions = VERSIONS) -> Baseline:
    """Each quantity of each variant is another number, above 0."""
    quantities = [*QUANTITIES, *COMPILED]
    rows = [
        {
            "variant": f"resnet18/standard-r{2**number}",
            "transform": "fused" if number % 2 else "none",
            **{name: 100 * number + place + 1 for place, name in enumerate(quantities)},
        }
        for number in range(variants)
    ]
    return Baseline(versions, pd.DataFrame(rows).set_index(NAMES))


def changed(before: Baseline, place: int, quantity: str, value: int) -> Baseline:
    """The same but for one number."""
    counts = before.counts.copy()
    counts.loc[counts.index[place], quantity] = value
    return Baseline(before.versions, counts)
