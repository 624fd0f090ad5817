"""A run that is stopped, cleanly or not, keeps what it measured and can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.record import Round, encode, select
from tests.bench.conftest import (
    FAKE_WORKER,
    RunFake,
    cell,
    ledger_in,
    records_in,
    table_in,
)

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


def test_before_a_worker_has_started_there_is_nothing_to_show(out: Path) -> None:
    """No table of an unknown machine, all of it not measured."""
    idle = SLOW_RUN.replace(repr(str(FAKE_WORKER)), repr("-c") + ", 'import time; time.sleep(60)'")
    process = subprocess.Popen(
        [sys.executable, "-c", idle, str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    started = process.stdout.readline()
    deadline = time.monotonic() + 60
    while not psutil.Process(process.pid).children() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "records.jsonl" in started
    assert "Interrupted before a worker had started: nothing is known yet." in printed
    assert "unknown machine" not in printed
    assert not list(out.glob("table.*"))


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
