"""A run whose workers fail: each failure costs its own arms an outcome, and nothing else."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pandas as pd
import pytest

from bench.grid import Grid
from bench.record import Outcome, select
from bench.run.worker_process import WorkerProcess
from bench.trial import Path as RunPath
from tests.bench.conftest import (
    RunFake,
    cell,
    ledger_in,
    outcomes_in,
    records_in,
    table_in,
)
from tests.bench.fake_worker import UNSUPPORTED


@pytest.mark.parametrize("event", ["die-round", "die-open"])
def test_a_worker_that_dies_costs_its_arms_one_visit(
    run_fake: RunFake, out: Path, tmp_path: Path, event: str
) -> None:
    """The arms get an outcome with the reason, and a fresh worker measures them after all."""
    assert run_fake(f"once:{tmp_path / 'died'}", f"{event}:pre-r16") == 0
    crashed = [o for o in select(records_in(out), Outcome) if o.status == "crashed"]
    assert {o.trial.variant.se.label for o in crashed} == set(table_in(out).index)
    reason = "killed by SIGKILL" if event == "die-round" else "code 3: a fake reason"
    assert all(reason in str(outcome.reason) for outcome in crashed)
    assert set(table_in(out)["status"]) == {"ok"}


def test_a_block_whose_workers_always_die_is_given_up_and_costs_nothing_else(
    run_fake: RunFake, out: Path
) -> None:
    """Two deaths end a block's tries in a run; the other block is measured as if alone."""
    grid = Grid(reductions=(4, 16))
    assert run_fake("die-round:pre-r16", grid=grid) == 0
    table = table_in(out)
    assert set(table.loc[table["reduction"] == 4, "status"]) == {"ok"}
    assert set(table.loc[table["reduction"] == 16, "status"]) == {"crashed"}
    assert table.loc["pre-r16", "reason"] == "latency: the worker was killed by SIGKILL"
    assert math.isnan(cell(table, "standard-r16", "overhead_pct"))
    assert cell(table, "standard-r16", "params") == 1016


def test_the_eager_trunk_is_not_blamed_for_a_death_in_a_block_of_another_path(
    run_fake: RunFake, out: Path, tmp_path: Path
) -> None:
    """It only rides along there: what is known of its own block stays."""
    grid = Grid(placements=("standard",), reductions=(16,), paths=(RunPath("fused"),))
    assert run_fake(f"once:{tmp_path / 'died'}", "die-open:standard-r16", grid=grid) == 0
    crashed = [o for o in select(records_in(out), Outcome) if o.status == "crashed"]
    assert {o.trial.variant.se.label for o in crashed} == {"none", "standard-r16"}
    assert {o.trial.path for o in crashed} == {RunPath("fused")}


def test_a_path_that_cannot_run_costs_one_line_and_no_other_path(
    run_fake: RunFake, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its trials have the reason, brackets and all; it is told once, and not tried again."""
    paths = (RunPath(), RunPath("fused"))
    grid = Grid(placements=("standard", "pre"), reductions=(16,), paths=paths)
    assert run_fake("unsupported:fused", grid=grid) == 0
    table = pd.read_parquet(out / "table.parquet")
    assert set(table.loc[table["path"] == "eager", "status"]) == {"ok"}
    fused = table[table["path"] == "fused"]
    assert set(fused["status"]) == {"unsupported"}
    assert set(fused["reason"]) == {f"latency: {UNSUPPORTED}"}
    told = capsys.readouterr().out.replace("\n", " ")
    assert f"3 trials of {fused['setting'].iloc[0]}: unsupported, latency: {UNSUPPORTED}" in told
    before = records_in(out)
    assert run_fake("unsupported:fused", grid=grid) == 0
    assert records_in(out) == before


def test_a_block_that_takes_long_to_prepare_is_not_silent(run_fake: RunFake, out: Path) -> None:
    """Each of its arms takes less than the timeout, all of them more."""
    assert run_fake("slow-open:1.2", timeout_s=5.0, budget_s=1.0) == 0
    assert set(table_in(out)["status"]) == {"ok"}
    (log, *_) = ledger_in(out).visits.values()
    assert log.block.prepare_s > 5.0


def test_a_worker_that_hangs_is_stopped(run_fake: RunFake, out: Path) -> None:
    """Silence beyond the timeout is an outcome."""
    run_fake("hang-round:pre-r16", timeout_s=6.0)
    outcome = outcomes_in(out)["pre-r16", "latency"]
    assert (outcome.status, outcome.reason) == ("timeout", "the worker said nothing for 6 s")


def test_a_death_while_counting_is_blamed_on_the_trial_under_way(
    run_fake: RunFake, out: Path
) -> None:
    """The trials that waited behind it are counted by the next worker."""
    run_fake("die-count:pre-r4")
    table = table_in(out)
    assert table["params"].isna().to_dict() == {
        "none": False, "standard-r4": False, "pre-r4": True, "standard-r16": False,
        "pre-r16": False,
    }  # fmt: skip
    assert outcomes_in(out)["pre-r4", "counts"].status == "crashed"


def test_a_trial_without_a_reference_is_not_timed(run_fake: RunFake, out: Path) -> None:
    """What it cannot be checked against costs it its latency, at every thread count."""
    grid = Grid(placements=("standard",), reductions=(4, 16), threads=(1, 2))
    assert run_fake("die-reference:standard-r16", grid=grid) == 0
    table = pd.read_parquet(out / "table.parquet").set_index(["threads", "se"])
    for threads in (1, 2):
        assert table.loc[(threads, "standard-r16"), "status"] == "crashed"
        assert table["overhead_pct"].isna()[threads, "standard-r16"]
        assert table.loc[(threads, "standard-r4"), "overhead_pct"] == pytest.approx(4.0)


def test_a_failure_that_may_pass_is_tried_again_by_the_next_run(
    run_fake: RunFake, out: Path, tmp_path: Path
) -> None:
    """The rest of its block is precise by then, and yet it gets its overhead."""
    run_fake(f"once:{tmp_path / 'died'}", "die-reference:standard-r16")
    assert table_in(out).loc["standard-r16", "status"] == "crashed"
    assert run_fake() == 0
    table = table_in(out)
    assert table.loc["standard-r16", "status"] == "ok"
    assert cell(table, "standard-r16", "overhead_pct") == pytest.approx(16.0)


@pytest.mark.parametrize(("event", "status"), [("wrong", "wrong_result"), ("oom", "oom")])
def test_an_arm_that_cannot_ride_gets_a_row_and_no_time(
    run_fake: RunFake, out: Path, event: str, status: str
) -> None:
    """The other arms of its block are measured."""
    assert run_fake(f"{event}:standard-r16") == 0
    table = table_in(out)
    assert table.loc["standard-r16", "status"] == status
    assert math.isnan(cell(table, "standard-r16", "p50_s"))
    assert cell(table, "pre-r16", "overhead_pct") == pytest.approx(16.0)


def test_nothing_measured_at_all_is_a_failure(run_fake: RunFake, out: Path) -> None:
    """Without a trunk there is nothing to pair with; every row says why."""
    assert run_fake("wrong:none") == 1
    assert set(table_in(out)["status"]) == {"wrong_result"}


def test_a_worker_that_cannot_start_ends_the_run_with_its_reason(run_fake: RunFake) -> None:
    """No trial is blamed for a broken installation."""
    with pytest.raises(RuntimeError, match=r"could not start: .* ImportError: no torch here"):
        run_fake("no-start")


def test_a_worker_that_was_never_started_leaves_no_file_open(tmp_path: Path) -> None:
    """Where there is no such program, or another worker's end comes first."""
    worker = WorkerProcess((str(tmp_path / "missing"),), timeout_s=1.0)

    async def start() -> None:
        async with worker:
            pass

    with pytest.raises(FileNotFoundError):
        asyncio.run(start())
    assert worker._errors.closed


def test_a_worker_that_dies_as_it_starts_is_replaced(
    run_fake: RunFake, out: Path, tmp_path: Path
) -> None:
    """One unlucky start costs nothing."""
    assert run_fake(f"once:{tmp_path / 'died'}", "no-start") == 0
    assert set(table_in(out)["status"]) == {"ok"}


def test_a_worker_is_stopped_with_its_forks(
    run_fake: RunFake, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork holds its parent's pipes, so the run would wait for it to the end."""
    survivor = tmp_path / "survivor"
    monkeypatch.setenv("FAKE_SURVIVOR", str(survivor))
    run_fake("hang-fork:pre-r16", timeout_s=6.0)
    assert outcomes_in(out)["pre-r16", "memory"].status == "timeout"
    assert not survivor.exists()
