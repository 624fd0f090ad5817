"""Made-up recordings of the gate's proof."""

from __future__ import annotations

from bench.environment import describe_machine
from bench.gate.proof.lines import (
    SCHEMA_VERSION,
    GateSaid,
    Header,
    Kind,
    Parameters,
    Ran,
    RivalSaid,
)
from bench.gate.proof.pair import SLOWED

OTHER = "resnet18/none"
PARAMETERS = Parameters(size=64, threads=1, gate_s=15, rival_s=1, slower_pct=5, seed=0)
HEADER = Header(
    schema=SCHEMA_VERSION, created_at="2026-01-01T00:00:00+00:00", commit="0123456789abcdef",
    parameters=PARAMETERS, machine=describe_machine(), rows=42,
)  # fmt: skip


def gate_said(code: int = 0, *regressed: str, seed: int = 1) -> GateSaid:
    verdicts = {name: "regressed" if name in regressed else "unchanged" for name in (OTHER, SLOWED)}
    changes = {name: 5.0 if name in regressed else 0.1 for name in verdicts}
    return GateSaid(code, verdicts, {**changes}, 3, seed, 60.0, "")


def rival_said(code: int = 0, **changes_pct: float) -> RivalSaid:
    """By the last part of a variant's name."""
    changes = {OTHER: changes_pct.get("none", 0.0), SLOWED: changes_pct.get("standard", 0.0)}
    return RivalSaid(code, changes, 20.0, "")


def ran(
    number: int, kind: Kind, gate: GateSaid | None = None, rival: RivalSaid | None = None
) -> Ran:
    return Ran(number, kind, False, gate or gate_said(), rival or rival_said(), 80.0)
