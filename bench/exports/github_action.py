"""A run for github-action-benchmark, tool ``customSmallerIsBetter``.

Its reader (``src/extract.ts``, ``extractCustomBenchmarkResult``) takes strict JSON:
a list of objects with ``name``, ``unit`` and ``value``, a number, and where there is
something to say ``range`` and ``extra``, strings. It holds an entry against the last
one of that ``name`` by the ratio of their values (``src/write.ts``), so that nothing
is exported here that may be 0 or less: an overhead is told as the time over the trunk's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.quantities import OVER_TRUNK, QUANTITIES
from bench.table import is_disturbed

_EXPORTED = {
    "latency": QUANTITIES["latency"],
    "time over the trunk": OVER_TRUNK,
    "resident growth": QUANTITIES["resident-growth"],
    "live-byte peak": QUANTITIES["live-peak"],
    "multiply-adds": QUANTITIES["macs"],
}


def entries(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """An entry for each quantity that is known of a trial, each in its own unit.

    Args:
        frame: a run's table.

    Raises:
        ValueError: if nothing is known of any trial.
    """
    made = [entry for _, row in frame.iterrows() for entry in _of_trial(row)]
    if not made:
        raise ValueError("there is nothing to export: no trial of the run has any number")
    return made


def _of_trial(row: pd.Series) -> Iterator[dict[str, Any]]:
    for name, quantity in _EXPORTED.items():
        value, interval = quantity.of(row), quantity.interval(row)
        if value is None or value <= 0:
            continue
        entry = {"name": f"{row['trial']}: {name}", "unit": quantity.unit, "value": value}
        if interval is not None:
            entry |= {
                "range": f"{interval[0]:.4g} to {interval[1]:.4g}",
                "extra": f"95 % interval over {row['processes']} processes\n{row['machine']}"
                + ("\nmeasured in a breakdown" if is_disturbed(row) else ""),
            }
        yield entry
