"""What docs/ci.md and README show of how often the timing gate errs."""

from __future__ import annotations

from pathlib import Path

from bench.gate.proof import lines, report

PICTURE = "![Builds failed, by the gate and by pytest-benchmark](../results/gate/gate_proof.png)"


def markdown(recording: Path) -> str:
    """The table, how it came about, and the picture."""
    known = lines.read(recording)
    return f"{report.markdown(known.headers, report.counts(known.runs))}\n{PICTURE}\n"


def summary(recording: Path) -> str:
    """A sentence for each of the two tools."""
    frame = report.counts(lines.read(recording).runs)
    told = []
    for tool, rows in frame.groupby("tool", sort=False):
        equal, slowed = rows[rows["kind"] != "slowed"], rows[rows["kind"] == "slowed"]
        told.append(
            f"- *{tool}*: {equal['failed'].sum()} of {equal['runs'].sum()} builds failed for a "
            f"revision that was compared with itself; of {slowed['runs'].sum()} with a real "
            f"slowdown in one placement {slowed['failed'].sum()} failed, "
            f"{slowed['named'].sum()} of these for that placement and no other."
        )
    return "\n".join(told) + "\n"
