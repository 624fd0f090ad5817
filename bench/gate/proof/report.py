"""What the recorded runs say: how often each tool has failed a build, and whether rightly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from bench.documents.markdown import table
from bench.files import replacing
from bench.gate.command import FAILED, PASSED
from bench.gate.judgement import THRESHOLD
from bench.gate.proof import lines
from bench.gate.proof.lines import KINDS, RECORDING, Header, Ran
from bench.gate.proof.pair import SLOWED
from bench.gate.proof.runs import RIVAL_LIMIT
from bench.method import pictures
from bench.method.recording import RefusedError
from bench.method.shares import share

CSV, MARKDOWN = "gate_proof.csv", "gate_proof.md"
# What pytest-benchmark would have said at this gate's own threshold follows from the same medians.
GATE, RIVAL = "this gate", f"pytest-benchmark, {RIVAL_LIMIT}"
STRICT_PCT = 100 * THRESHOLD
STRICT = f"the same medians, {STRICT_PCT:g}%"
TOOLS = (GATE, RIVAL, STRICT)
_TITLES = {
    "quiet": "the same revision, quiet",
    "loaded": "the same revision, beside other work",
    "slowed": "one placement slower",
}


def counts(runs: Sequence[Ran]) -> pd.DataFrame:
    """A row for each kind and tool that has runs.

    ``failed`` of ``runs`` builds failed, a share between ``low`` and ``high`` with 95 %
    confidence; ``named`` of them by the slowed variant and no other; ``not_compared``
    ended with neither a pass nor a failure; ``decided`` is the share of its variants that
    the gate has not left undecided. ``changed_pct`` is the mean of what was told
    of the slowed variant, ``wall_s`` that of what a run took.
    """
    rows = [
        _row(kind, tool, [run for run in runs if run.kind == kind])
        for kind in KINDS
        for tool in TOOLS
    ]
    return pd.DataFrame([row for row in rows if row["runs"]])


def _row(kind: str, tool: str, runs: Sequence[Ran]) -> dict[str, object]:
    codes = [_code(run, tool) for run in runs]
    known = share(codes.count(FAILED), len(codes)) if codes else None
    return {
        "kind": kind,
        "tool": tool,
        "runs": len(codes),
        "failed": codes.count(FAILED),
        "low": known.low if known else math.nan,
        "high": known.high if known else math.nan,
        "named": sum(named(run, tool) == {SLOWED} for run in runs),
        "not_compared": sum(code not in (PASSED, FAILED) for code in codes),
        "decided": _mean([_decided(run) for run in runs]) if tool == GATE else math.nan,
        "changed_pct": _mean([_changed_pct(run, tool) for run in runs]),
        "wall_s": _mean([run.gate.wall_s if tool == GATE else run.rival.wall_s for run in runs]),
    }


def _code(run: Ran, tool: str) -> int:
    """The exit code; pytest-benchmark has none of its own for a regression."""
    if tool == GATE:
        return run.gate.code
    if tool == STRICT:
        return FAILED if max(run.rival.changes_pct.values()) > STRICT_PCT else PASSED
    return FAILED if run.rival.code else PASSED


def named(run: Ran, tool: str) -> set[str]:
    """The variants for which a build failed."""
    if _code(run, tool) != FAILED:
        return set()
    if tool == GATE:
        broken = ("regressed", "broken")
        return {name for name, verdict in run.gate.verdicts.items() if verdict in broken}
    limit_pct = STRICT_PCT if tool == STRICT else _RIVAL_PCT
    return {name for name, change in run.rival.changes_pct.items() if change > limit_pct}


_RIVAL_PCT = float(RIVAL_LIMIT.partition(":")[2].removesuffix("%"))


def _decided(run: Ran) -> float | None:
    verdicts = list(run.gate.verdicts.values())
    return 1 - verdicts.count("undecided") / len(verdicts) if verdicts else None


def _changed_pct(run: Ran, tool: str) -> float | None:
    return (run.gate.changes_pct if tool == GATE else run.rival.changes_pct).get(SLOWED)


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def markdown(headers: Sequence[Header], frame: pd.DataFrame) -> str:
    """The table for a reader, and how it came about."""
    asked = headers[0].parameters
    machines = " and ".join(dict.fromkeys(header.machine.cpu for header in headers))
    rows = [
        {
            "revisions": _TITLES[row["kind"]],
            "tool": row["tool"],
            "builds failed": f"{row['failed']} of {row['runs']}",
            "95 % interval": f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
            "by that placement alone": row["named"] if row["kind"] == "slowed" else "",
            "could not compare": row["not_compared"],
            "variants decided": (
                "" if math.isnan(row["decided"]) else f"{100 * row['decided']:.0f} %"
            ),
            "told of it, %": f"{row['changed_pct']:+.1f}" if row["kind"] == "slowed" else "",
            "a run took, s": f"{row['wall_s']:.0f}",
        }
        for row in frame.to_dict("records")
    ]
    return (
        f"{table(pd.DataFrame(rows))}\n\n"
        f"Commit `{headers[0].commit[:12]}`, {machines}, {asked.threads} threads, ResNet-18 "
        f"at {asked.size} px, three variants. `{SLOWED}` was made slower by "
        f"{asked.slower_pct:g} % of real work. The gate had {asked.gate_s:g} s, pytest-benchmark "
        f"{asked.rival_s:g} s for each variant in each tree, right before or after. Intervals are "
        "Clopper and Pearson's. A slowdown as large as the limit of 5 % is found by chance alone.\n"
    )


def write(folder: Path) -> Iterator[Path]:
    """The table as CSV and Markdown and the picture, beside the recording; their paths.

    Raises:
        RefusedError: if there is no recording with runs.
    """
    from bench.gate.proof import figure  # matplotlib takes long to import

    path = folder / RECORDING
    recording = lines.read(path) if path.exists() else None
    if recording is None or not recording.runs:
        raise RefusedError(f"{folder} holds no recorded run: record some with `nox -s gate_proof`")
    frame = counts(recording.runs)
    with replacing(folder / CSV) as draft:
        frame.to_csv(draft, index=False)
    yield folder / CSV
    with replacing(folder / MARKDOWN) as draft:
        draft.write_text(markdown(recording.headers, frame), encoding="utf-8")
    yield folder / MARKDOWN
    yield from figure.save(frame, folder)
    yield pictures.note(folder, figure.STEM, frame, figure.title(frame))
