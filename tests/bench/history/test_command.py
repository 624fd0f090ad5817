"""From records in folders and in git to a table, changes on the console, and pictures."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import main
from bench.grid import Grid
from bench.line_files import pack, packed
from bench.record import SCHEMA_VERSION, Environment, Header, encode
from tests.bench.compare.made_up import environment, records

GRID = Grid(placements=("standard",), reductions=(8, 16))
SLOWER = {"standard-r16": 0.09}


def write(
    path: Path, day: int, costs: Mapping[str, float], made_in: Environment | None = None
) -> None:
    """A run of that day, in which what is not named costs 5 %."""
    made = records(costs, grid=GRID, seed=day, environments=(made_in or environment(),))
    header = Header(SCHEMA_VERSION, f"2026-01-{day:02}T00:00:00+00:00", "0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode, [header, *made])))


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    """Ten nights, from the seventh on with a slower variant; two lie side by side, one packed."""
    folder = tmp_path / "nightly"
    write(folder / "first" / "records.1.jsonl", 1, {})
    pack(folder / "first" / "records.1.jsonl")
    write(folder / "first" / "records.jsonl", 2, {})
    for day in range(3, 11):
        write(folder / str(day) / "records.jsonl", day, SLOWER if day >= 7 else {})
    return folder


def test_a_change_is_told_and_drawn(
    nightly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the variant that became slower and of no other; table and pictures are left."""
    out = tmp_path / "out"
    flags = ["--quantities", "overhead,operators", "--out", str(out)]
    assert main(["history", str(nightly), *flags]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("10 runs from 2026-01-01")
    assert said[0].endswith("in one environment.")
    (told,) = (line for line in said if "changed" in line)
    assert told.startswith("overhead of resnet18/standard-r16@")
    assert "with run 6 (c0ffee): " in told
    assert told.endswith("+4.0 points")
    frame = pd.read_csv(out / "history.csv")
    assert list(frame["run"].unique()) == list(range(10))
    assert set(frame["quantity"]) == {"overhead", "operators"}
    assert {path.name for path in out.iterdir()} == {
        "history.csv", "history-overhead.png", "history-overhead.svg",
        "history-operators.png", "history-operators.svg",
    }  # fmt: skip


def test_only_what_is_asked_for_is_followed(nightly: Path, tmp_path: Path) -> None:
    """A part of a key chooses trials; a run that went on counts once."""
    (nightly / "copy").mkdir()
    (nightly / "copy" / "records.jsonl").write_bytes((nightly / "9" / "records.jsonl").read_bytes())
    flags = ["--trials", "standard-r8", "--quantities", "overhead", "--out", str(tmp_path / "out")]
    assert main(["history", str(nightly), *flags]) == 0
    frame = pd.read_csv(tmp_path / "out" / "history.csv")
    assert set(frame["se"]) == {"standard-r8"}
    assert len(frame) == 10


def test_a_machine_is_not_held_against_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the sixth night on all is slower, on another CPU."""
    for day in range(1, 11):
        other = environment(cpu="another") if day > 5 else None
        write(tmp_path / str(day) / "records.jsonl", day, SLOWER if day > 5 else {}, other)
    assert main(["history", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "in 2 environments, which are not held against each other" in said
    assert "No change was found." in said


def test_versions_in_git_are_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each commit that changed the file, packed or not; those that cannot be read are named."""
    monkeypatch.chdir(tmp_path)
    file = Path("results/cpu/records.jsonl")

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    for day in (1, 2, 3, 4):
        packed(file).unlink(missing_ok=True)
        write(file, day, {})
        if day == 2:
            file.write_text("no records\n")
        if day == 4:
            pack(file)
        git("add", "-A")
        git("commit", "-m", f"day {day}")
    assert main(["history", "--git", str(tmp_path / file), "--out", "out"]) == 0
    capsys.readouterr()
    assert main(["history", "--git", "results/cpu", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "3 runs from 2026-01-01" in said
    assert ":results/cpu/records.jsonl is left out: " in said
    assert str(tmp_path) not in said.partition("3 runs")[0]
    frame = pd.read_csv("out/history.csv")
    names = [name.partition(":")[2] for name in dict.fromkeys(frame["name"])]
    assert names == [str(file), str(file), f"{file}.gz"]


def test_of_a_run_that_went_on_the_last_version_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever git tells it; another that began in the same second elsewhere is another."""
    monkeypatch.chdir(tmp_path)
    for name, day, share in (("longer", 1, 1.0), ("shorter", 1, 0.9), ("other", 2, 1.0)):
        path = tmp_path / "runs" / name / "records.jsonl"
        write(path, day, {})
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: int(share * len(lines))]))
    write(tmp_path / "runs" / "elsewhere" / "records.jsonl", 1, {}, environment(cpu="another"))
    assert main(["history", "runs", "--out", "out"]) == 0
    names = {Path(name).parent.name for name in pd.read_csv("out/history.csv")["name"]}
    assert names == {"longer", "other", "elsewhere"}


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["missing"], "history is gathered from folders, got missing"),
        (["."], "holds no run with anything to follow"),
        (["--git", "nothing"], "--git must name a file that git has versions of"),
        (["--git", "../other"], "--git must name a file below "),
        (["--quantities", "speed"], "--quantities must be from overhead, latency"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    flags: list[str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """With the rule and what was given."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty",
         "-m", "none"], check=True,
    )  # fmt: skip
    assert main(["history", *flags]) == 2
    assert error in capsys.readouterr().err


def test_a_trial_that_no_run_has_is_refused(
    nightly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With keys that there are."""
    assert main(["history", str(nightly), "--trials", "inner"]) == 2
    assert "--trials must be part of a key such as resnet18/" in capsys.readouterr().err
