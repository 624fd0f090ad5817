"""A whole run, with workers whose numbers are made up by rule: what goes in comes out."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from bench.grid import Grid
from bench.record import Outcome, Round, encode, select
from bench.run.schedule import PROCESSES
from bench.trial import Trial
from tests.bench.conftest import FAKE_WORKER, RunFake, ledger_in, records_in

SLOW_RUN = f"""
import sys
from pathlib import Path
from rich.console import Console
import bench.run.command as command
import bench.run.schedule as schedule
from bench.grid import Grid
schedule.LONGEST_VISIT_S = 20.0  # so that it does not end before it is stopped
command.draw = lambda frame, folder: []
grid = Grid(placements=("standard", "pre"), reductions=(4, 16))
worker = (sys.executable, {str(FAKE_WORKER)!r}, *sys.argv[2:])
request = command.Request(
    grid, Path(sys.argv[1]), False, 60.0, 1e-9, ("counts", "memory", "latency"), 60.0, worker
)
sys.exit(command.run(request, Console(width=120)))
"""


def table_in(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "table.parquet").set_index("se")


def cell(table: pd.DataFrame, se: str, column: str) -> float:
    """A number of the table; NaN where it is null."""
    numbers = table[column].astype("Float64").to_numpy(dtype=float, na_value=math.nan)
    return float(numbers[list(table.index).index(se)])


def outcomes_in(out: Path) -> dict[tuple[str, str], Outcome]:
    return {
        (outcome.trial.variant.se.label, outcome.quantity): outcome
        for outcome in select(records_in(out), Outcome)
    }


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


def wait_for_rounds(out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        path = out / "records.jsonl"
        if path.exists() and path.read_bytes().count(b'"kind":"round"') >= count:
            return
        time.sleep(0.05)
    pytest.fail("the run measured nothing")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_what_it_measured_and_says_how_to_go_on(
    out: Path, run_fake: RunFake, stop: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end cleanly: tables are written, no worker is left, a run goes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(out)], stdout=subprocess.PIPE, text=True
    )
    wait_for_rounds(out, 10)
    process.send_signal(stop)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost. The same command goes on from here" in printed
    assert cell(table_in(out), "pre-r16", "overhead_pct") == pytest.approx(16.0)
    before = records_in(out)
    run_fake()
    assert records_in(out)[: len(before)] == before


def test_a_killed_run_loses_at_most_the_round_under_way(out: Path, run_fake: RunFake) -> None:
    """After SIGKILL the file holds every finished round, its worker ends, and a run goes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(out)], stdout=subprocess.DEVNULL
    )
    wait_for_rounds(out, 10)
    worker = ledger_in(out).environments[-1].worker  # a fake worker's name is its process id
    process.kill()
    process.wait()
    before = records_in(out)
    rounds = list(select(before, Round))
    assert len(rounds) >= 10
    assert all(len(round_.samples_s) == 6 for round_ in rounds)
    wait_until_gone(int(worker))
    assert run_fake() == 0
    assert records_in(out)[: len(before)] == before
    assert b"".join(map(encode, before)) in (out / "records.jsonl").read_bytes()


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its run")


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
