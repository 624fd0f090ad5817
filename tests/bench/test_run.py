"""A whole run, with workers whose numbers are made up by rule: what goes in comes out."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from bench.grid import Grid
from bench.line_files import pack, packed
from bench.record import SchemaError
from bench.run.run_file import RECORDS
from bench.run.schedule import PROCESSES
from bench.trial import Path as RunPath
from bench.trial import Trial
from tests.bench.conftest import (
    RunFake,
    cell,
    ledger_in,
    records_in,
    table_in,
)


def test_overheads_counts_and_memory_come_out_exactly(run_fake: RunFake, out: Path) -> None:
    """A variant made 16 % slower is reported 16 % slower, and an equal control 0 %."""
    assert run_fake() == 0
    table = table_in(out)
    assert list(table.index) == ["none", "standard-r4", "pre-r4", "standard-r16", "pre-r16"]
    assert cell(table, "standard-r16", "overhead_pct") == pytest.approx(16.0)
    assert cell(table, "pre-r4", "overhead_low_pct") == pytest.approx(4.0)
    assert cell(table, "pre-r4", "overhead_high_pct") == pytest.approx(4.0)
    assert cell(table, "none", "p50_s") == pytest.approx(0.010)
    assert cell(table, "standard-r16", "latency_s") == pytest.approx(0.0116)
    assert cell(table, "standard-r16", "throughput_per_s") == pytest.approx(1 / 0.0116)
    assert cell(table, "pre-r4", "noise_pct") == pytest.approx(0.0)
    assert cell(table, "standard-r16", "cpu_overhead_pct") == pytest.approx(16.0)
    assert cell(table, "pre-r4", "se_params") == 4
    assert cell(table, "pre-r4", "flops") == 2 * 10**6 + 10**4
    assert cell(table, "pre-r4", "resident_growth_bytes") == 2**20
    assert cell(table, "pre-r4", "processes") >= PROCESSES
    assert set(table["status"]) == {"ok"}


def test_a_precise_run_ends_before_its_budget(run_fake: RunFake, out: Path) -> None:
    """A few processes that agree are enough; the rest of the budget is not spent."""
    started = time.monotonic()
    assert run_fake() == 0
    assert time.monotonic() - started < 50
    (block,) = ledger_in(out).blocks().values()
    assert len(ledger_in(out).visits_of(block.key)) == PROCESSES


def test_a_second_run_measures_nothing_again(run_fake: RunFake, out: Path) -> None:
    """What is precise stays, and the file does not grow."""
    run_fake()
    before = records_in(out)
    assert run_fake() == 0
    assert records_in(out) == before


def test_a_wider_grid_measures_only_what_is_new(run_fake: RunFake, out: Path) -> None:
    """Blocks that stand keep their rounds; another block is added for the new variants."""
    run_fake()
    before = len(records_in(out))
    wide = Grid(placements=("standard", "pre", "inner"), reductions=(4, 16))
    assert run_fake(grid=wide) == 0
    added = records_in(out)[before:]
    arms = {arm.trial.variant.se.label for r in added if hasattr(r, "arms") for arm in r.arms}
    assert arms == {"none", "inner-r4", "inner-r16"}
    assert len(table_in(out)) == 7


def test_fresh_keeps_the_earlier_records_under_another_name(run_fake: RunFake, out: Path) -> None:
    """Nothing measured is ever deleted."""
    run_fake()
    before = (out / "records.jsonl").read_bytes()
    run_fake(fresh=True)
    assert (out / "records.1.jsonl").read_bytes() == before
    assert (out / "records.jsonl").read_bytes() != before


def test_fresh_begins_anew_beside_a_packed_file_that_is_damaged(
    run_fake: RunFake, out: Path
) -> None:
    """It is kept as it is, and a run that would go on is told what helps."""
    run_fake()
    pack(out / RECORDS).write_bytes(b"no gzip")
    with pytest.raises(SchemaError, match=r"does not unpack: .*; measure anew with --fresh"):
        run_fake()
    assert run_fake(fresh=True) == 0
    assert packed(out / "records.1.jsonl").read_bytes() == b"no gzip"
    assert records_in(out)


def test_another_machine_or_source_starts_anew_and_says_why(
    run_fake: RunFake, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measurements of an older torch are not mixed with those of a newer one."""
    run_fake()
    path = out / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"torchvision":"', b'"torchvision":"0.'))
    run_fake()
    assert "the machine has changed (packages was" in capsys.readouterr().out.replace("\n", " ")
    fingerprint = ledger_in(out).environments[0].source.fingerprint.encode()
    path.write_bytes(path.read_bytes().replace(fingerprint, b"0" * len(fingerprint)))
    run_fake()
    assert "the suite's source has changed" in capsys.readouterr().out.replace("\n", " ")
    assert (out / "records.2.jsonl").exists()


def test_counts_alone_give_every_planned_trial_its_row(run_fake: RunFake, out: Path) -> None:
    """In its own setting, whatever it shares its counts with, and whether they failed or not."""
    grid = Grid(
        placements=("standard",), reductions=(4, 16), threads=(2,), layouts=("channels_last",)
    )
    assert run_fake("die-count:standard-r16", grid=grid, quantities=("counts",)) == 0
    table = table_in(out)
    assert table["status"].to_dict() == {
        "none": "not measured", "standard-r4": "not measured", "standard-r16": "crashed"
    }  # fmt: skip
    assert table["params"].isna().to_dict() == {
        "none": False, "standard-r4": False, "standard-r16": True
    }  # fmt: skip
    assert set(table["threads"]) == {2}
    assert table["setting"].nunique() == 1


def test_trials_are_told_apart_by_their_setting(run_fake: RunFake, out: Path) -> None:
    """Two batch sizes are two settings, each with its own trunk and ranks."""
    grid = Grid(placements=("standard",), reductions=(4,), batches=(1, 8))
    assert run_fake(grid=grid) == 0
    table = pd.read_parquet(out / "table.parquet")
    assert table.groupby("setting")["se"].apply(list).tolist() == [["none", "standard-r4"]] * 2
    assert table.set_index(["batch", "se"]).loc[(8, "none"), "throughput_per_s"] == (
        pytest.approx(800)
    )
    assert isinstance(next(iter(ledger_in(out).counts)), Trial)


@pytest.mark.parametrize(("path", "workers"), [(RunPath(), 1), (RunPath(executor="compile"), 2)])
def test_what_compiles_hoards_and_has_a_worker_for_each_visit(
    run_fake: RunFake, out: Path, path: RunPath, workers: int
) -> None:
    """Two blocks are visited once each, for there is no time for more."""
    grid = Grid(placements=("standard",), reductions=(2, 4, 8, 16, 32, 64, 128), paths=(path,))
    assert run_fake(grid=grid, budget_s=0.01) == 0
    visits = ledger_in(out).visits.values()
    assert len(visits) == 2
    assert len({log.block.worker for log in visits}) == workers
