"""README and docs say what the committed results say."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from bench.documents.command import fill, main, pack_recordings
from bench.documents.headline import headline
from bench.documents.parts import parts
from bench.documents.sources import (
    COVERAGE,
    CPU,
    DOCUMENTS,
    EXPORTED,
    KERNELS,
    PATHS,
    PATHS_AVX2,
    unpacked,
)
from bench.line_files import content, opened_for_lines
from bench.run.run_file import RECORDS
from tests.bench.conftest import Alone
from tests.bench.plots.synthetic import few, with_overhead


def test_the_committed_documents_follow_from_the_committed_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither a number in the README nor a plot is older than its records."""
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_a_changed_experiment_makes_its_document_stale(
    copy: Path, alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check names what is stale and the command that mends it."""
    alone(Path("docs/coverage.md"))
    table = pd.read_csv(copy / COVERAGE)
    table.loc[0, "coverage"] = 0.5
    table.to_csv(copy / COVERAGE, index=False)
    assert main(["--check"], root=copy) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{COVERAGE.with_suffix('.png')} does not show {COVERAGE}: draw it anew, then: "
        "run `nox -s readme`",
        f"docs/coverage.md does not follow from {COVERAGE}: run `nox -s readme`",
    ]


def test_a_stale_page_is_told_with_all_that_it_is_made_from() -> None:
    """The floors of docs/paths.md follow from the kernels' table, not from the records alone."""
    assert DOCUMENTS[Path("docs/paths.md")] == (PATHS / RECORDS, KERNELS, EXPORTED)


@pytest.mark.parametrize(("part", "folder"), [("paths", PATHS), ("paths-avx2", PATHS_AVX2)])
def test_a_page_of_paths_without_its_run_says_how_to_make_that(
    part: str, folder: Path, tmp_path: Path
) -> None:
    """Each page is of a folder of its own, and `nox -s paths` fills whichever it is told."""
    said = parts({}, tmp_path)[part]()
    assert said == (f"Nothing is committed yet: make it with `nox -s paths -- --out {folder}`.\n")


def test_a_changed_record_makes_tables_and_plots_stale(
    copy: Path, alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plot is compared by the data in it."""
    alone(runs=(CPU,))
    records = copy / CPU / RECORDS
    opened_for_lines(records).close()
    records.write_text(records.read_text().replace('"params":11778592', '"params":12778592'))
    assert main(["--check"], root=copy) == 1
    error = capsys.readouterr().err
    assert "table.md does not follow from the records" in error
    assert "plots/pareto does not show the records' data" in error


def test_recordings_are_packed_with_the_documents(
    copy: Path, alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain one is found, and packed when the documents are written; they say the same then."""
    alone(runs=(CPU,))
    records = copy / CPU / RECORDS
    before = content(records)
    with opened_for_lines(records):
        assert main(["--check"], root=copy) == 1
        pack_recordings(copy)
        assert records.exists()  # somebody writes to it
    error = capsys.readouterr().err
    assert error == f"{CPU / RECORDS} is not packed: run `nox -s readme`\n"
    pack_recordings(copy)
    assert unpacked(copy) == []
    assert content(records) == before


def test_parts_are_filled_and_unknown_parts_refused() -> None:
    """Only what stands between the marks changes."""
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    assert fill(text, {"x": lambda: "new\n"}) == text.replace("old", "new")
    with pytest.raises(ValueError, match="part must be one of y, got 'x'"):
        fill(text, {"y": str})


class TestHeadline:
    def headline(
        self,
        cost: tuple[float, float, float],
        *,
        noise_high_pct: float = 0.5,
        pre: float = 1.0,
        disturbed: bool = False,
    ) -> str:
        """Of SE as published at this cost, beside a cheap variant of another placement."""
        frame = with_overhead(
            few("none", "pre-r16", "standard-r16"),
            pre_r16=(pre, pre - 0.5, pre + 0.5), standard_r16=cost,
        )  # fmt: skip
        noise = {"noise_low_pct": -0.5, "noise_high_pct": noise_high_pct}
        return headline(frame.assign(**noise, disturbed=disturbed))

    def test_cost_beyond_noise_is_told(self) -> None:
        """An interval above 0 and above the noise is a finding, and so are extremes apart."""
        text = self.headline((5.25, 4.5, 6.0))
        assert "arithmetic to a resnet18 and 5.2 % [4.5, 6.0] time." in text
        assert (
            "runs from 1.0 % [0.5, 1.5] (`pre-r16`) to 5.2 % [4.5, 6.0] (`standard-r16`).\n" in text
        )

    @pytest.mark.parametrize(
        ("cost", "noise_high_pct"), [((5.25, -0.5, 9.0), 0.5), ((5.25, 4.5, 6.0), 4.75)]
    )
    def test_cost_within_noise_is_told_as_such(
        self, cost: tuple[float, float, float], noise_high_pct: float
    ) -> None:
        """An interval that reaches 0, or the noise, is no finding; nor has it extremes."""
        text = self.headline(cost, noise_high_pct=noise_high_pct)
        assert "cannot be told from what two equal models differ by here, [-0.5, " in text
        assert "time." not in text
        assert "runs from" not in text
        assert "Over all placements and ratios, " in text

    def test_cost_without_interval_or_control_is_told_as_such(self) -> None:
        """A single process's estimate is shown, and nothing is claimed of it."""
        lone = self.headline((5.25, math.nan, math.nan))
        assert "; its cost in time, 5.2 %, has no interval." in lone
        assert "nan" not in lone
        alone = self.headline((5.25, 4.5, 6.0), noise_high_pct=math.nan)
        assert "has no control to be held against." in alone
        assert "nan" not in alone

    def test_cost_in_a_breakdown_is_told_as_such(self) -> None:
        """Whatever its interval says, and no other variant's is told beside it."""
        broken = self.headline((5.25, 4.5, 6.0), disturbed=True)
        assert "; its cost in time, 5.2 % [4.5, 6.0], was measured in a breakdown." in broken
        assert "runs from" not in broken
