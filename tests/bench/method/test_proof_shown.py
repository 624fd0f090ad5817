"""What is shown of the proof: document, README, picture, and the command that makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.documents.parts import experiment
from bench.documents.sources import PROOF, ROOT
from bench.documents.stale import stale_proof
from bench.method.__main__ import main
from bench.method.arguments import LENGTHS_S
from bench.method.comparisons import (
    METHODS,
    comparisons,
)
from bench.method.proof import proof
from bench.method.proof_figure import Kind, draw, title
from bench.method.proof_report import markdown, summary
from tests.bench.method.made_up import OFF, TRUE, recording, written

NAMES = ("proof.csv", "proof.png", "proof.svg", "digests.json")
APARTS = (0.001, 0.002, -0.001, 0.004, 0.003)


def both() -> pd.DataFrame:
    return proof([recording(TRUE, OFF), recording(OFF, OFF, load="loaded")], (10.0,))


def test_the_document_tells_all_of_it() -> None:
    """Settings, spread, a line for every condition, length, method and slowdown; no nan."""
    text = markdown(both())
    assert (
        "- *quiet, 64 px*: a CPU; ResNet-18, 2 threads that wait as deployed; 5 models at once; "
        "4 comparisons of equal models of 5 s (2 processes), 2 comparisons of equal models of "
        "10 s (4 processes). With starting" in text
    )
    assert (
        "Of comparisons of 5 s 0/2 = 0.0 [0.0, 84.2] % and of 10 s 0/1 = 0.0 [0.0, 97.5] %" in text
    )
    assert "| quiet, 64 px | 90.0 %; 2 % of all time, starting included | yes |" in text
    assert (
        "| quiet, 64 px | 5 s | **this suite** | 0.16 |  | 0/4 = 0.0 [0.0, 60.2] | "
        "4/4 = 100.0 [39.8, 100.0] |  |  |"
    ) in text
    assert "| loaded, 64 px | 5 s | 1.10 [-0.17, 2.37] | timm's loop | " in text
    assert text.count("| quiet, 64 px |") == text.count("| loaded, 64 px |") == 1 + 2 * 4 * 3
    assert "nan" not in text.lower()


def test_readme_is_told_in_a_row_per_recording() -> None:
    """False alarms, spread, and how often each slowdown was found in the longest comparisons."""
    head, _, quiet, loaded, *_ = summary(both()).splitlines()
    cells = dict(zip(head.split(" | "), quiet.split(" | "), strict=True))
    assert cells["| recording"] == "| quiet, 64 px"
    assert cells["equal models called slower"] == "0 of 4 in 5 s; 0 of 2 in 10 s"
    assert cells["sd of their ratios"] == "0.16 %"
    assert cells["best other tool's, times as far"] == "33.2; 28.7"
    assert cells["real slowdowns found"] == "1.1 %: 1 of 1, 5.0 %: 1 of 1, in 10 s"
    assert cells["called not slower |"] == "0 of 2 |"
    assert loaded.startswith("| loaded, 64 px | ")


def test_the_document_says_that_there_is_none(tmp_path: Path) -> None:
    """Until a recording is committed."""
    nothing = experiment(tmp_path / PROOF.name, markdown, "method")
    assert nothing == "Nothing is committed yet: make it with `nox -s method`.\n"
    both().to_csv(tmp_path / PROOF.name, index=False)
    assert experiment(tmp_path / PROOF.name, markdown, "method") == markdown(both())
    assert "<!-- begin proof -->" in (ROOT / "docs/proof.md").read_text()


def test_a_stale_table_is_found(tmp_path: Path) -> None:
    """One that its recordings do not say, or that is missing beside them."""
    assert list(stale_proof(tmp_path / PROOF.name)) == []
    written(tmp_path, recording(TRUE, OFF))
    assert len(list(stale_proof(tmp_path / PROOF.name))) == 1
    frame = proof([recording(TRUE, OFF)], LENGTHS_S)
    frame.to_csv(tmp_path / PROOF.name, index=False)
    assert list(stale_proof(tmp_path / PROOF.name)) == []
    frame.assign(sd_pct=1.0).to_csv(tmp_path / PROOF.name, index=False)
    assert len(list(stale_proof(tmp_path / PROOF.name))) == 1


def test_the_picture_shows_every_single_ratio() -> None:
    """A row per condition; on the right a mark for every slowdown and method, at its true size."""
    singles: dict[Kind, pd.DataFrame] = {
        ("quiet", 64): comparisons(recording(TRUE, OFF)),
        ("loaded", 64): comparisons(recording(OFF, OFF, load="loaded")),
    }
    figure = draw(both(), singles)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["quiet, 64 px", "loaded, 64 px"]
    left = figure.axes[0].get_lines()
    shown = np.asarray(left[2].get_xdata())  # after this suite's, and those that it marked
    assert sorted(shown) == pytest.approx([-10, 0, 0, 2])
    finds = figure.axes[1].get_lines()
    assert len(finds) == len(METHODS)
    assert np.asarray(finds[0].get_ydata()).tolist() == [0.0, 100.0, 100.0]
    sets = [((a, -a, 0.01, 0.05), (1.0, 1 + 3 * a, 1 - 3 * a, 1.01, 1.05)) for a in APARTS]
    assert title(proof([recording(*sets)])).startswith(
        "Equal models: the best other tool's ratios spread at least 3.0"
    )
    assert title(both().iloc[1:2]) == "Ratios of equal models, and slowdowns found"


def test_the_command_leaves_a_table_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of whatever is recorded; nothing yet is told in a line."""
    assert main(["proof", "--out", str(tmp_path)]) == 2
    assert "no recording with a complete set" in capsys.readouterr().err
    written(tmp_path, recording(TRUE, OFF))
    assert main(["proof", "--out", str(tmp_path), "--lengths", "10s"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[: len(NAMES)] == [str(tmp_path / name) for name in NAMES]
    assert any(line.startswith("| quiet, 64 px | 0 of 4 in 5 s; ") for line in said)
    assert len(pd.read_csv(tmp_path / "proof.csv")) == 2 * len(METHODS) * 3
