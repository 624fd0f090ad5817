"""Blocks in which no difference counts: equal models differed there, or the machine broke down."""

from __future__ import annotations

from bench.ledger import Ledger
from bench.verdict import differing


def doubtful_blocks(ledger: Ledger) -> dict[str, str]:
    """Each such block of a run, and why; all its control arms are judged as one grid."""
    blocks = ledger.blocks()
    controls = {
        block: known
        for block, planned in blocks.items()
        for arm in planned.arms
        if arm.role == "control" and (known := ledger.evidence(block, arm)) is not None
    }
    doubts = {
        block: "the control arm differs from the trunk, its equal"
        for block, differs in zip(controls, differing(list(controls.values())), strict=True)
        if differs
    }
    broken = [block for block in blocks if ledger.is_disturbed(block)]
    return doubts | dict.fromkeys(broken, "measured in a breakdown")
