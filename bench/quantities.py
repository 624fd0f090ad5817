"""What is followed from run to run, and exported: columns of the table, in units for people."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column of the table in units for people, with those of its interval's ends if it has any.

    Attributes:
        name: of the column, in the units that it says.
        ends: of its 95 % interval; None for what was counted or taken once.
        unit: that it is shown in.
        factor: from the column's unit to that one.
        shift: what is added then.
        is_exact: counted, so that any difference is a change.
        drifts: an absolute time, which runs apart in time are not compared by.
    """

    name: str
    ends: tuple[str, str] | None
    unit: str
    factor: float
    shift: float = 0.0
    is_exact: bool = False
    drifts: bool = False

    def of(self, row: pd.Series) -> float | None:
        """What a row of the table has of it, or None."""
        return self._shown(row[self.name])

    def interval(self, row: pd.Series) -> tuple[float, float] | None:
        """Between what it lies with 95 % confidence, where that is known."""
        low, high = (self._shown(row[end]) for end in self.ends or (self.name,) * 2)
        if low is None or high is None or low == high:  # a trunk has nothing to be paired with
            return None
        return low, high

    def _shown(self, value: float) -> float | None:
        return None if pd.isna(value) else float(self.factor * value + self.shift)


_OVERHEAD = ("overhead_low_pct", "overhead_high_pct")
QUANTITIES = {
    "overhead": Column("overhead_pct", _OVERHEAD, "%", 1.0),
    "latency": Column("latency_s", ("latency_low_s", "latency_high_s"), "ms", 1e3, drifts=True),
    "resident-growth": Column("resident_growth_bytes", None, "MiB", 2.0**-20),
    "live-peak": Column("live_peak_bytes", None, "MiB", 2.0**-20, is_exact=True),
    "macs": Column("macs", None, "GMACs", 1e-9, is_exact=True),
    "operators": Column("operators", None, "operators", 1.0, is_exact=True),
}
# An overhead for whoever divides by it.
OVER_TRUNK = Column("overhead_pct", _OVERHEAD, "times", 0.01, shift=1.0)
