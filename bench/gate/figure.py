"""The timing gate's picture: every variant's change, what two bases differ by, the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.gate.finding import Finding
from bench.gate.judgement import Known, Verdict
from bench.gate.report import Report
from bench.plots import style
from bench.stats import Evidence

STEM = "gate"
# Told apart by all common kinds of colour vision, and by form.
_MARKS: dict[Verdict, style.Mark] = {
    "regressed": style.Mark("#D55E00", "D", 6),
    "improved": style.Mark("#009E73", "^", 7),
    "unchanged": style.Mark("#0072B2", "o", 6),
    "undecided": style.Mark(style.MUTED, "s", 5.5),
}
_CONTROL = style.Mark("#bdbdbd", "o", 3.5)
_ROW_IN = 0.34
_BESIDE = 0.22  # from a change down to its control


@style.theme()
def draw(report: Report) -> Figure:
    """A row for every variant that was measured, slowest first; the others are in the table."""
    measured = [finding for finding in report.findings if finding.known is not None]
    subtitle = (
        f"{report.package} over base {report.base[:12]}, {report.triples} triples of processes, "
        f"95 % intervals. Grey: the base over itself.\n{report.machine}"
    )
    figure = style.figure(title(report), subtitle, width=7.5, height=_ROW_IN * len(measured) + 1)
    axes = figure.add_subplot()
    axes.axvspan(
        0, 100 * report.threshold, color=style.FAINT, alpha=0.5, linewidth=0,
        label=f"up to the threshold, {100 * report.threshold:g} %",
    )  # fmt: skip
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    for row, finding in enumerate(sorted(measured, key=_estimate, reverse=True)):
        _draw_row(axes, row, finding)
    _label_rows(axes, sorted(measured, key=_estimate, reverse=True))
    axes.set_xlabel("change of a forward's time, %")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique))
    return figure


def title(report: Report) -> str:
    """What the gate says, in a line."""
    failing = []
    for verdict in ("regressed", "broken"):
        names = [finding.variant for finding in report.findings if finding.verdict == verdict]
        if names:
            failing.append(f"{verdict}: {', '.join(names)}")
    if failing:
        line = "; ".join(failing)
        return line[0].upper() + line[1:]
    return f"Timing gate: {report.verdict}, nothing has regressed"


def save(report: Report, folder: Path) -> list[Path]:
    """A PNG and an SVG in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return style.save(draw(report), folder, STEM)


def _estimate(finding: Finding) -> float:
    return _known(finding).change.estimate


def _known(finding: Finding) -> Known:
    assert finding.known is not None  # only what was measured is drawn
    return finding.known


def _draw_row(axes: Axes, row: int, finding: Finding) -> None:
    known, mark = _known(finding), _MARKS[finding.verdict]
    _bar(axes, row + _BESIDE, known.control, _CONTROL, "the base over itself")
    _bar(axes, row, known.change, mark, finding.verdict)


def _bar(axes: Axes, place: float, ratio: Evidence, mark: style.Mark, label: str) -> None:
    interval = ratio.interval().scaled(100, -100)
    if interval.is_bounded:
        axes.hlines(place, interval.low, interval.high, color=mark.colour, linewidth=1.4)
    axes.plot(
        interval.estimate, place, mark.marker, color=mark.colour, markersize=mark.size,
        linestyle="none", label=label,
    )  # fmt: skip


def _label_rows(axes: Axes, findings: Sequence[Finding]) -> None:
    axes.set_yticks(range(len(findings)), [finding.variant for finding in findings])
    axes.set_ylim(len(findings) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
