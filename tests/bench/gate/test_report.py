"""The report as a reader of a build sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.gate.figure import draw, save, title
from bench.gate.finding import Finding
from bench.gate.judgement import Known
from bench.gate.report import Report, markdown, write_json
from tests.bench.gate.test_judgement import triples

SLOWER, SAME = Known.of(triples(0.05)), Known.of(triples(0.0))
FINDINGS = (
    Finding("resnet18/standard-r16", "regressed", SLOWER, 0.012, confirmed=SLOWER),
    Finding("resnet18/none", "unchanged", SAME, 0.012),
    Finding("resnet18/post-r16", "undecided", Known.of(triples(count=1)), np.inf),
    Finding("resnet18/inner-r16", "broken", reason="head cannot run it: KeyError"),
    Finding("resnet18/new", "not comparable", reason="the base cannot run it: ValueError"),
)
NEW = replace(FINDINGS[4], variant="resnet18/newer", is_new=True)
REPORT = Report(
    base="0123456789abcdef", package="se_models", threshold=0.02, seed=7, findings=FINDINGS,
    notes=("se_models has uncommitted changes",), triples=6, rounds=240, wall_s=61.3,
    machine="AMD EPYC, 2 threads",
)  # fmt: skip


def test_it_names_what_fails_first() -> None:
    """Then a line for every variant, with its interval and its control."""
    lines = markdown(REPORT).splitlines()
    assert lines[0] == "## Timing gate: failed"
    assert "`0123456789ab`" in lines[2]
    assert "seed 7" in lines[2]
    assert lines[4] == "- Note: se_models has uncommitted changes."
    assert lines[5].startswith("- **resnet18/standard-r16 is 5.")
    assert lines[6] == "- **resnet18/inner-r16 no longer runs**: head cannot run it: KeyError"
    rows = [line for line in lines if line.startswith("| resnet18/")]
    assert len(rows) == len(FINDINGS)
    assert "regressed" in rows[0]
    assert "+5." in rows[0]
    assert "1.2" in rows[1]
    assert "[-inf, +inf]" not in rows[2]


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (FINDINGS, "failed"),
        (FINDINGS[1:3], "passed"),
        (FINDINGS[4:], "could not compare"),
        ((NEW,), "passed"),
        ((NEW, FINDINGS[1]), "passed"),
        ((NEW, FINDINGS[4]), "could not compare"),
        ((NEW, FINDINGS[3]), "failed"),
    ],
)
def test_the_verdict_is_that_of_the_exit_code(findings: tuple[Finding, ...], verdict: str) -> None:
    """What cannot be compared neither passes nor fails, but where all of it is new."""
    assert replace(REPORT, findings=findings).verdict == verdict


def test_json_has_it_all(tmp_path: Path) -> None:
    """Strict, with null for what is not known."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    write_json(REPORT, tmp_path / "new" / "gate.json")
    text = (tmp_path / "new" / "gate.json").read_text()
    found = json.loads(text, parse_constant=refuse)
    assert found["verdict"] == "failed"
    assert found["seed"] == 7
    by_name = {each["variant"]: each for each in found["variants"]}
    assert by_name["resnet18/standard-r16"]["change_low_pct"] > 2
    assert by_name["resnet18/post-r16"]["change_low_pct"] is None
    assert by_name["resnet18/post-r16"]["detectable_pct"] is None
    assert by_name["resnet18/new"]["change_pct"] is None


def test_the_picture_has_a_row_for_what_was_measured(tmp_path: Path) -> None:
    """Slowest first; the title says what a build fails for."""
    figure = draw(REPORT)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "resnet18/standard-r16"
    assert set(labels) == {each.variant for each in FINDINGS if each.known}
    assert title(REPORT) == "Regressed: resnet18/standard-r16; broken: resnet18/inner-r16"
    assert title(replace(REPORT, findings=FINDINGS[1:4])) == "Broken: resnet18/inner-r16"
    assert "passed" in title(replace(REPORT, findings=FINDINGS[1:3]))
    assert [path.name for path in save(REPORT, tmp_path / "out")] == ["gate.png", "gate.svg"]
