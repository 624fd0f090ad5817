"""What a person reads: whole at any width, and no more than the intervals carry."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bench.ledger import Ledger
from bench.record import Record, Round, read
from bench.summary import noise_line, print_summary
from bench.table import trials_frame

COMMITTED = Path(__file__).parents[2] / "results" / "cpu" / "records.jsonl"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(read(COMMITTED))


@pytest.fixture(scope="module")
def frame(records: list[Record]) -> pd.DataFrame:
    return trials_frame(Ledger(records))


def printed(frame: pd.DataFrame, width: int) -> list[str]:
    output = io.StringIO()
    print_summary(frame, Console(file=output, width=width))
    return output.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_narrow_console_loses_columns_and_no_digit(frame: pd.DataFrame, width: int) -> None:
    """Every variant keeps its whole name, its overhead and its interval on one line."""
    frame = frame[frame["path"] == "eager"]  # or a name would stand in several tables
    lines = printed(frame, width)
    assert not any("…" in line for line in lines)
    for row in frame.dropna(subset=["overhead_pct"]).itertuples():
        (line,) = [line for line in lines if f" {row.se} " in line]
        assert f"{row.overhead_pct:+.1f}" in line
        assert f"[{row.overhead_low_pct:+.1f}, {row.overhead_high_pct:+.1f}]" in line


def test_a_wide_console_shows_all(frame: pd.DataFrame) -> None:
    """At 140 columns nothing is left out."""
    header = next(line for line in printed(frame, 140) if "procs" in line)
    assert header.rstrip().endswith("RSS MiB")


def test_one_block_has_one_control(frame: pd.DataFrame) -> None:
    """Of which there is no range; several span one."""
    several = frame[frame["path"] == "eager"]
    one = several[several["block"] == several["block"].dropna().iloc[-1]]
    control = f"{one['noise_pct'].iloc[0]:+.1f}"
    assert noise_line(one).startswith(f"Control arm (a second plain trunk): {control} % over 1 b")
    assert "1 block," in noise_line(one)
    assert f" % over {several['block'].nunique()} blocks," in noise_line(several)
    assert " to " in noise_line(several)


def test_one_process_gives_no_interval(records: list[Record]) -> None:
    """An overhead that one process alone has seen is shown as such, and ranks with all others."""
    rounds = [record for record in records if isinstance(record, Round)]
    first = [record for record in rounds if record.visit == rounds[0].visit]
    others = [record for record in records if not isinstance(record, Round)]
    frame = trials_frame(Ledger([*others, *first]))
    measured = frame[frame["overhead_pct"].notna()]
    assert len(measured) == len(first[0].samples_s) - 2
    assert measured["overhead_low_pct"].isna().all()
    assert set(measured["rank"]) == {"1="}
    assert noise_line(frame).endswith("one process alone, which gives no interval.")
    assert sum("one process" in line for line in printed(frame, 140)) == len(measured) + 1
