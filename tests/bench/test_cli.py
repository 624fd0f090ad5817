"""The command line: it teaches, answers at once, and says in one line what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import main
from bench.grid import LATE_STAGE, Grid
from bench.options import add_grid, grid_from, seconds


def grid_of(*flags: str) -> Grid:
    parser = ArgumentParser()
    add_grid(parser)
    return grid_from(parser.parse_args(flags))


def test_help_loads_nothing_heavy() -> None:
    """``--help`` of every command answers without torch, pandas or matplotlib."""
    check = (
        "import sys, bench.cli\n"
        "for command in ['run', 'list', 'table', 'plot']:\n"
        "    try: bench.cli.main([command, '--help'])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "goes on where it stood" in done.stdout
    assert "examples:" in done.stdout


def test_flags_span_the_grid() -> None:
    """Lists may be comma-separated or repeated, and choices of one list are joined by +."""
    grid = grid_of(
        "--architectures", "resnet18,resnet50", "--placements", "standard", "--placements", "pre",
        "--reductions", "4,16", "--stages", "all,4,3+4", "--blocks", "last,0+1",
        "--min-hidden", "1,32", "--batch", "1,8", "--size", "64", "--threads", "2",
        "--layout", "channels_last", "--dtype", "bfloat16", "--device", "cpu",
    )  # fmt: skip
    assert grid == Grid(
        architectures=("resnet18", "resnet50"),
        placements=("standard", "pre"),
        reductions=(4, 16),
        stages=((1, 2, 3, 4), (4,), (3, 4)),
        blocks=("last", (0, 1)),
        min_hiddens=(1, 32),
        batches=(1, 8),
        sizes=(64,),
        threads=(2,),
        layouts=("channels_last",),
        dtypes=("bfloat16",),
        devices=("cpu",),
    )


def test_late_stage_variants_belong_to_the_default_choice_alone() -> None:
    """Who chooses SE gets what was chosen; who chooses only a workload gets the default SE."""
    assert grid_of("--batch", "8").extra == LATE_STAGE
    assert grid_of("--reductions", "16").extra == ()


def test_cuda_joins_the_default_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is measured without being asked for."""
    monkeypatch.setattr("bench.options.has_cuda", lambda: True)
    assert grid_of().devices == ("cpu", "cuda")
    assert grid_of("--device", "cpu").devices == ("cpu",)


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)]
)
def test_times_have_units(text: str, expected: float) -> None:
    """Seconds, minutes and hours."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--placements", "sideways"], "placement must be one of none, .*, got 'sideways'"),
        (["run", "--reductions", "0"], "reduction must be a positive integer, got 0"),
        (["run", "--reductions", "many"], "--reductions: must be a list of integers, got 'many'"),
        (
            ["run", "--stages", "5"],
            r"stages must be .* of 1 to 4 .*, got \(5,\)",
        ),
        (["run", "--architectures", "vgg"], "architecture must be one of resnet18, .*, got 'vgg'"),
        (["run", "--size", "0"], "size must be a positive integer, got 0"),
        (["run", "--budget", "soon"], "--budget: must be a time such as 90s, .*, got 'soon'"),
        (["run", "--precision", "0"], "--precision: must be a positive number, got '0'"),
        (["run", "--quantities", "heat"], "must be from counts, memory, latency, got 'heat'"),
        (["table", "--out", "nowhere"], "--out must hold a records.jsonl, got nowhere"),
        (["run", "--out", "/dev/null"], "File exists: '/dev/null'"),
        (["measure"], "invalid choice: 'measure'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line names the field, the rule and the value; there is no traceback."""
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    error = capsys.readouterr().err
    assert re.search(message, error.splitlines()[-1])
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_trials_is_no_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A run that was stopped before it planned anything leaves nothing to show, and says so."""
    (tmp_path / "records.jsonl").touch()
    for name in ("table", "plot"):
        assert main([name, "--out", str(tmp_path)]) == 2
        assert "must hold a trial, and holds none yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


def test_cuda_without_a_device_is_told_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is measured, let alone before the table is full of unsupported trials."""
    monkeypatch.setattr("bench.commands.has_cuda", lambda: False)
    assert main(["list", "--device", "cuda", "--reductions", "16"]) == 0
    assert "there is no CUDA device here" in capsys.readouterr().err


def test_passive_waiting_is_set_before_workers_are_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Workers inherit it, and the machine is described with it; by default nothing is set."""
    seen: list[str | None] = []

    def run(request: object, console: object) -> int:
        seen.append(os.environ.get("OMP_WAIT_POLICY"))
        return 0

    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    monkeypatch.setattr("bench.run.command.run", run)
    assert main(["run", "--out", str(tmp_path)]) == 0
    assert main(["run", "--out", str(tmp_path), "--waiting", "passive"]) == 0
    assert seen == [None, "PASSIVE"]


def test_list_shows_every_block_and_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    """What would be measured is shown without measuring."""
    assert main(["list", "--reductions", "16", "--budget", "10m"]) == 0
    printed = capsys.readouterr().out
    assert "standard-r16, pre-r16, post-r16, identity-r16, inner-r16" in printed
    assert "7 trials, 1 block; " in printed
    assert "latency 10.0 min" in printed


def test_the_real_command_measures_real_models(tmp_path: Path) -> None:
    """From flags to tables and plots, on ResNet-18 at 64 px."""
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "bench", "run", "--placements", "standard,prenorm",
        "--reductions", "16", "--size", "64", "--threads", "1", "--budget", "20s",
        "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Control arm" in done.stdout
    table = pd.read_parquet(out / "table.parquet").set_index("se")
    assert table.loc["standard-r16", "se_params"] == 89_080
    assert table.loc["none", "params"] == 11_689_512
    assert set(table["status"]) == {"ok"}
    assert table.drop("none")["overhead_pct"].notna().all()
    assert (out / "plots" / "overhead.png").stat().st_size > 10_000
    for name in ("table", "plot"):
        assert main([name, "--out", str(out)]) == 0
