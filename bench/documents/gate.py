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
    """A sentence for each tool."""
    frame = report.counts(lines.read(recording).runs)
    told = []
    for tool, rows in frame.groupby("tool", sort=False):
        by_kind = rows.set_index("kind")
        false = ", ".join(
            f"{row['failed']} of {row['runs']} {name}"
            for kind, name in (("quiet", "in quiet"), ("loaded", "beside other work"))
            if kind in by_kind.index
            for row in [by_kind.loc[kind]]
        )
        line = f"- *{tool}*: builds that failed for a revision compared with itself: {false}"
        if "slowed" in by_kind.index:
            slowed = by_kind.loc["slowed"]
            line += (
                f"; with a real slowdown of 5 % in one placement: {slowed['failed']} of "
                f"{slowed['runs']}, {slowed['named']} of these for that placement and no other"
            )
        told.append(f"{line}.")
    return "\n".join(told) + "\n"
