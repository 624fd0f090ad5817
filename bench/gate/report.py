"""What the timing gate has found, as Markdown for a person and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from bench.compare.export import percents
from bench.documents.markdown import table
from bench.files import replacing
from bench.gate.finding import Finding, all_new, compares, passes
from bench.gate.judgement import Known
from bench.stats import Evidence, Interval

_UNKNOWN = "–"
_REFUSED = "could not compare"


@dataclass(frozen=True)
class Report:
    """All that is told of one comparison.

    ``seed`` is of all orders; ``notes`` are what a reader must know besides, accidents
    of processes included; ``rounds`` and ``wall_s`` are of all triples together.
    """

    base: str
    package: str
    threshold: float
    seed: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    triples: int
    rounds: int
    wall_s: float
    machine: str

    @property
    def verdict(self) -> str:
        """In a word: what the exit code says."""
        if not passes(self.findings):
            return "failed"
        return "passed" if compares(self.findings) else _REFUSED


def markdown(report: Report) -> str:
    """The verdict, its reasons, and a line for every variant."""
    lines = [
        f"## Timing gate: {report.verdict}",
        "",
        f"`{report.package}` as it is now over base `{report.base[:12]}`, by {report.triples} "
        f"triples of fresh processes taking turns, {report.rounds} rounds in "
        f"{report.wall_s:.0f} s on {report.machine}, seed {report.seed}. Slower by more than "
        f"{100 * report.threshold:g} % and beyond doubt is a regression.",
        "",
        *_listed(report.notes, _headlines(report.findings)),
        table(pd.DataFrame([_row(finding) for finding in report.findings])),
    ]
    return "\n".join(lines) + "\n"


def unchanged(package: str, base: str, notes: Sequence[str]) -> str:
    """The report where the package is what it was at the base."""
    lines = [
        "## Timing gate: passed",
        "",
        *_listed(notes),
        f"`{package}` is what it was at the base, `{base[:12]}`: nothing was measured.",
    ]
    return "\n".join(lines) + "\n"


def refusal(reason: str) -> str:
    """The report where nothing could be compared, whatever the variant."""
    return f"## Timing gate: {_REFUSED}\n\nThe gate {_REFUSED}: {reason}\n"


def _listed(notes: Sequence[str], headlines: Sequence[str] = ()) -> list[str]:
    """Notes and headlines, each a line, and an empty one behind them."""
    lines = [*(f"- Note: {note}." for note in notes), *(f"- {line}" for line in headlines)]
    return [*lines, ""] if lines else []


def _headlines(findings: Sequence[Finding]) -> list[str]:
    """What a build fails for, in words, or why there was nothing that it could fail for."""
    lines = []
    if all_new(findings):
        lines.append("Nothing was there to compare with: the base has none of these yet.")
    for finding in findings:
        if finding.verdict == "regressed" and finding.known is not None:
            change = 100 * (finding.known.change.estimate - 1)
            lines.append(
                f"**{finding.variant} is {change:.1f} % slower**, found twice by processes that "
                "had nothing to do with each other."
            )
        elif finding.verdict == "broken":
            lines.append(f"**{finding.variant} no longer runs**: {finding.reason}")
    return lines


def _row(finding: Finding) -> dict[str, str]:
    known = finding.known
    return {
        "variant": finding.variant,
        "head over base, %": _UNKNOWN if known is None else _percent(known.change),
        "base over base, %": _UNKNOWN if known is None else _percent(known.control),
        "would have seen, %": _reach(finding.detectable),
        "verdict": finding.verdict + (f" ({finding.reason})" if finding.reason else ""),
    }


def _percent(ratio: Evidence) -> str:
    interval = ratio.interval().scaled(100, -100)
    if not interval.is_bounded:
        return f"{interval.estimate:+.1f}"
    return f"{interval.estimate:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def _reach(detectable: float | None) -> str:
    if detectable is None or math.isinf(detectable):
        return _UNKNOWN
    return f"{100 * detectable:.1f}"


def write_json(report: Report, path: Path) -> None:
    """One object; numbers that are not known are null, changes are in percent."""
    document: dict[str, Any] = {
        "verdict": report.verdict,
        "base": report.base,
        "package": report.package,
        "threshold_pct": 100 * report.threshold,
        "seed": report.seed,
        "triples": report.triples,
        "rounds": report.rounds,
        "wall_s": report.wall_s,
        "machine": report.machine,
        "notes": report.notes,
        "variants": [
            {
                "variant": finding.variant,
                "verdict": finding.verdict,
                "reason": finding.reason,
                **percents("change", _change(finding.known.change if finding.known else None)),
                **percents("control", _change(finding.known.control if finding.known else None)),
                "detectable_pct": _finite(finding.detectable),
                "confirmed_pct": _confirmed(finding.confirmed),
            }
            for finding in report.findings
        ],
    }
    _write(document, path)


def write_refusal(reason: str, path: Path) -> None:
    """As `write_json`, of no variants, and with the reason."""
    _write({"verdict": _REFUSED, "reason": reason, "variants": []}, path)


def _write(document: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def _change(ratio: Evidence | None) -> Interval | None:
    return None if ratio is None else ratio.interval().scaled(1.0, -1.0)


def _confirmed(known: Known | None) -> float | None:
    return None if known is None else 100 * (known.change.estimate - 1)


def _finite(fraction: float | None) -> float | None:
    return None if fraction is None or math.isinf(fraction) else 100 * fraction
