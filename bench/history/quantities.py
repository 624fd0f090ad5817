"""What a history follows: columns of a run's table, in units for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A column of the table, with those of its interval's ends if it has any.

    Attributes:
        column: in the units that its name says.
        ends: of its 95 % interval; None for what was counted or taken once.
        unit: that it is shown in.
        factor: from the column's unit to that one.
        is_exact: counted, so that any difference is a change.
    """

    column: str
    ends: tuple[str, str] | None
    unit: str
    factor: float
    is_exact: bool = False


QUANTITIES = {
    "overhead": Quantity("overhead_pct", ("overhead_low_pct", "overhead_high_pct"), "%", 1.0),
    "latency": Quantity("latency_s", ("latency_low_s", "latency_high_s"), "ms", 1e3),
    "resident-growth": Quantity("resident_growth_bytes", None, "MiB", 2.0**-20),
    "live-peak": Quantity("live_peak_bytes", None, "MiB", 2.0**-20, is_exact=True),
    "macs": Quantity("macs", None, "GMACs", 1e-9, is_exact=True),
    "operators": Quantity("operators", None, "operators", 1.0, is_exact=True),
}
