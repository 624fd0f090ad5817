"""`compare` from its arguments to what is printed, written and answered by the exit code."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.compare.comparison import TRUNKS_OF_TWO_RUNS
from bench.grid import Grid
from bench.line_files import pack
from bench.record import SCHEMA_VERSION, Header, Outcome, Record, Round, encode
from tests.bench.compare.made_up import GRID, environment, records

COMMITTED = Path(__file__).parents[3] / "results" / "cpu"


def write(path: Path, made: Sequence[Record]) -> Path:
    path.mkdir()
    lines = [encode(Header(SCHEMA_VERSION, "now", "0")), *map(encode, made)]
    (path / "records.jsonl").write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize(
    ("axis", "refused"),
    [
        ({"batches": (1, 8)}, "batch is 1 in A and 8 in B"),
        ({"threads": (1, 2)}, "threads is 1 in A and 2 in B"),
        ({"dtypes": ("float32", "bfloat16")}, "dtype is 'float32' in A and 'bfloat16' in B"),
        ({"devices": ("cpu", "cuda")}, "device is 'cpu' in A and 'cuda' in B"),
        (
            {"architectures": ("resnet18", "resnet50")},
            "architecture is 'resnet18' in A and 'resnet50' in B",
        ),
    ],
)
def test_times_of_two_settings_are_refused_and_counts_are_not(
    axis: dict[str, Any],
    refused: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The one line names the field and both values; what is exact is shown all the same."""
    grid = replace(Grid(placements=("standard",), reductions=(16,)), **axis)
    a, b = (t.key for t in grid.trials() if t.variant.se.placement != "none")
    out = write(tmp_path / "run", records({}, grid=grid))
    assert main(["compare", a, b, "--out", str(out)]) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.endswith(f"times are compared within one setting only, and {refused}")
    assert "slower" not in shown.out
    assert "overhead" not in shown.out
    assert [row.split()[1:] for row in shown.out.splitlines() if row.startswith(" macs")] == [
        ["2,000", "2,000", "0"]
    ]


def test_a_reason_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its brackets are no markup."""
    trial, reason = GRID.trials()[1], "[enforce fail] no room [/here]"
    made = [record for record in records({}) if not isinstance(record, Round)]
    a = write(tmp_path / "a", [*made, Outcome(trial, "latency", "oom", reason)])
    b = write(tmp_path / "b", records({}))
    assert main(["compare", "standard-r2", "none", "--out", str(a)]) == 0
    assert reason in capsys.readouterr().out.splitlines()[0]
    assert main(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "both runs measured the time of no variant" in shown.splitlines()[0]
    assert reason in " ".join(shown.split())


def test_two_record_files_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdict first, the source that differs, the trunk's row, counts, and no trial is dropped."""
    a = write(tmp_path / "a", records({}, grid=replace(GRID, reductions=(2, 4, 16))))
    b = write(
        tmp_path / "b",
        records(
            {"standard-r4": 0.10},
            grid=replace(GRID, reductions=(2, 4, 32)),
            seed=1,
            params={"standard-r2": 1100},
            environments=(environment(fingerprint="bbbb"),),
        ),
    )
    files = ("--json", str(tmp_path / "x.json"), "--csv", str(tmp_path / "x.csv"))
    pack(a / "records.jsonl")
    assert main(["compare", str(a), str(b / "records.jsonl"), *files]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == (
        "B against A, 2 variants: 1 slower, 1 not slower, 0 undecided; slower: "
        "resnet18/standard-r4 +4.8 % (not paired: each against the trunk of its own run)."
    )
    assert "sources differ: aaaa (commit c0ffee) in A, bbbb (commit c0ffee) in B" in shown
    (trunk,) = (line for line in shown.splitlines() if line.startswith(" the plain trunk"))
    assert trunk.split("not compared: ")[1].strip() == TRUNKS_OF_TWO_RUNS
    (params,) = (line.split()[1:] for line in shown.splitlines() if " params " in line)
    assert params == ["params", "1,000", "1,100", "+10"]
    assert "Only in A: resnet18/standard-r16@" in shown
    assert "Only in B: resnet18/standard-r32@" in shown
    document = json.loads((tmp_path / "x.json").read_text())
    assert (document["kind"], len(document["only_a"]), len(document["only_b"])) == ("runs", 1, 1)
    assert [row["verdict"] for row in document["pairs"]] == [None, "not slower", "slower"]
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["params_b"] for row in rows] == ["1000", "1100", "1000"]
    assert float(rows[2]["change_pct"]) == pytest.approx(100 * (1.10 / 1.05 - 1), abs=0.1)
    assert rows[0]["change_pct"] == ""


def test_equal_counts_of_two_runs_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is left to guess."""
    a, b = (write(tmp_path / name, records({}, seed=ord(name))) for name in "ab")
    assert main(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "Both measured the same source." in shown
    assert "All counts of the 8 trials that both runs counted are equal." in shown
    assert "Only in" not in shown


def test_one_process_alone_gives_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither for two trials nor for two runs, and the sentence says so."""
    alone = write(tmp_path / "alone", records({"standard-r4": 0.2}, processes=1))
    assert main(["compare", "standard-r2", "standard-r4", "--out", str(alone)]) == 0
    assert capsys.readouterr().out.startswith(
        "standard-r4 is 14.2 % slower than standard-r2: undecided, since one process alone gives "
        "no interval (paired, 9 rounds of 1 process).\n"
    )
    full = write(tmp_path / "full", records({}))
    assert main(["compare", str(full), str(alone)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "0 slower, 0 not slower, 7 undecided; one process alone gives no interval" in first


def test_what_could_have_been_seen_is_shown_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the verdict of each pair that is open, the same number as in the file."""
    a, b = (write(tmp_path / name, records({}, own_sd=0.03, seed=ord(name))) for name in "ab")
    path = tmp_path / "x.json"
    assert main(["compare", str(a), str(b), "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    rows = json.loads(path.read_text())["pairs"]
    reach = [row["detectable_pct"] for row in rows if row["verdict"] == "undecided"]
    assert len(reach) == 7
    assert re.findall(r"undecided \(<([\d.]+)\)", shown) == [f"{each:.1f}" for each in reach]
    names = ("standard-r2", "standard-r4")
    assert main(["compare", *names, "--out", str(a), "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["pairs"]
    told = f"undecided, a slowdown of {row['detectable_pct']:.1f} % would mostly have been found"
    assert told in capsys.readouterr().out


def test_a_run_and_a_trial_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor a run with itself, nor anything where there are no records; one line, exit code 2."""
    run = write(tmp_path / "run", records({}))
    nowhere = str(tmp_path / "nowhere")
    for names, message in (
        ((str(run), "none"), f"both be trials, got the run {run}, and 'none'"),
        (("none", str(run)), f"both be trials, got the run {run}, and 'none'"),
        ((str(run), str(run / "records.jsonl")), "must be two runs"),
        (("none", "standard-r2", "--out", nowhere), f"with the trials to compare, got {nowhere}"),
        ((nowhere, "none", "--out", str(run)), f"'{nowhere}' names no run and no trial"),
    ):
        assert main(["compare", *names]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_committed_variants_of_two_blocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SE in the last stage alone does less, and is not slower for it; the answer is not paired."""
    path = tmp_path / "x.json"
    names = ("standard-r16", "standard-r16-layer4")
    assert main(["compare", *names, "--out", str(COMMITTED), "--json", str(path)]) == 0
    sentence = capsys.readouterr().out.splitlines()[0]
    assert sentence.startswith("standard-r16-layer4 is ")
    assert "(not paired: each against the trunk of its own block, " in sentence
    (row,) = json.loads(path.read_text())["pairs"]
    assert row["paired"] is False
    assert row["change_low_pct"] < row["change_pct"] < row["change_high_pct"]
    assert row["operators_b"] < row["operators_a"]


def test_help_teaches_and_loads_nothing_heavy() -> None:
    """Examples and exit codes, without torch, pandas or scipy."""
    check = (
        "import sys, bench.cli\n"
        "try: bench.cli.main(['compare', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'scipy', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "compare none standard-r16" in done.stdout
    assert "2 refused" in done.stdout
