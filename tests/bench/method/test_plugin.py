"""The experiment on the pytest plugin: pairs of sessions, and how far equal medians spread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.method import plugin
from bench.method.__main__ import WAITING, main
from bench.method.load import LOADS
from bench.method.plugin import (
    PLUGIN,
    SHOWN,
    WAYS,
    Asked,
    markdown,
    ratios,
    record,
    times,
)
from bench.method.pytest_sessions import Ended, Forwards

ASKED = Asked(models=3, seconds=0.1, size=32, threads=1)
OUTPUT = """..                        [100%]

------ benchmark: 3 tests ------
Name (time in us)      Min  Median
--------------------------------
test_forward[copy-1]   1    2{way}
--------------------------------

Legend:
  Outliers: ...
3 passed in 0.20s
"""


class FakeSessions:
    """In the place of pytest: medians that are twice as far apart without the plugin."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, Forwards, Sequence[str]]] = []
        self.code = 0
        self.interrupts_at = 0

    def __call__(self, tree: Path, folder: Path, forwards: Forwards, flags: Sequence[str]) -> Ended:
        self.asked.append((tree, forwards, flags))
        if len(self.asked) == self.interrupts_at:
            raise KeyboardInterrupt
        apart = 0.01 if "--benchmark-interleave" in flags else 0.04
        apart *= 1 if len(self.asked) % 4 < 2 else -1
        saved = folder / "saved" / "Linux" / "0001_this.json"
        saved.parent.mkdir(parents=True)
        found = [
            {"name": f"test_forward[{name}]", "stats": {"median": 1 + number * apart}}
            for number, name in enumerate(forwards.trials)
        ]
        saved.write_text(json.dumps({"benchmarks": found}))
        return Ended(self.code, OUTPUT.format(way=len(self.asked)), 2.0)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSessions:
    sessions = FakeSessions()
    monkeypatch.setattr(plugin, "session", sessions)
    return sessions


def recorded(folder: Path, pairs: int) -> pd.DataFrame:
    record(ASKED, pairs, WAITING, folder, lambda _: None)
    return pd.read_csv(folder / PLUGIN)


def test_sessions_come_in_pairs_either_way_first_as_often(
    fake: FakeSessions, tmp_path: Path
) -> None:
    """Under both loads in turn; they differ in the plugin, and nothing else."""
    frame = recorded(tmp_path, 2)
    assert len(frame) == 2 * len(LOADS) * len(WAYS) * ASKED.models
    assert set(frame["session_s"]) == {2.0}
    firsts = frame[frame["first"]].drop_duplicates(["pair", "load"])
    assert list(firsts["load"]) == [*LOADS, *LOADS]
    assert list(firsts["way"]) == ["with", "with", "without", "without"]
    loads = [load for load in LOADS * 2 for _ in WAYS]
    for (_, forwards, _), load in zip(fake.asked, loads, strict=True):
        assert forwards == ASKED.forwards(WAITING[load])
        assert len(set(forwards.trials.values())) == 1
        assert len(forwards.trials) == ASKED.models
    ways = ["--benchmark-interleave" in flags for _, _, flags in fake.asked]
    assert ways == [True, False, True, False, False, True, False, True]


def test_a_session_that_fails_ends_all_with_its_output(
    fake: FakeSessions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made of what it saved."""
    fake.code = 1
    assert main(["plugin", "--pairs", "1", "--out", str(tmp_path)]) == 1
    assert "pytest-benchmark failed:\n.." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("commit", ["7066377", "12e4567", "a81b0c2+"])
def test_an_interrupted_recording_goes_on(
    commit: str, fake: FakeSessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C loses the pair under way alone, by whatever name its commit goes."""
    about = plugin.about
    monkeypatch.setattr(plugin, "about", lambda asked: {**about(asked), "commit": commit})
    fake.interrupts_at = 4
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path, 2)
    kept = pd.read_csv(tmp_path / PLUGIN)
    assert list(kept["load"].unique()) == ["quiet"]
    whole = recorded(tmp_path, 2)
    assert len(fake.asked) == 4 + 6
    pd.testing.assert_frame_equal(whole[: len(kept)], kept)
    assert len(recorded(tmp_path, 2)) == len(whole)
    assert len(fake.asked) == 4 + 6
    other = replace(ASKED, seconds=0.2)
    record(other, 1, WAITING, tmp_path, lambda _: None)
    assert set(pd.read_csv(tmp_path / PLUGIN)["seconds"]) == {0.2}


def test_what_two_terminals_showed_is_kept(fake: FakeSessions, tmp_path: Path) -> None:
    """Of the first pair under load, without the plugin first; the tables alone."""
    recorded(tmp_path, 1)
    shown = (tmp_path / SHOWN).read_text()
    assert shown.startswith("$ pytest forwards_benchmark.py\n------ benchmark: 3 tests ------\n")
    assert shown.index("   1    24\n") < shown.index("--benchmark-interleave\n")
    assert "Legend" not in shown
    assert shown.endswith("test_forward[copy-1]   1    23\n--------------------------------\n")


def test_spreads_are_of_ratios_to_a_sessions_first_benchmark(
    fake: FakeSessions, tmp_path: Path
) -> None:
    """Made up to be four times as far without the plugin, and told so with the sessions' time."""
    frame = recorded(tmp_path, 6)
    quiet = frame[frame["load"] == "quiet"]
    without = ratios(quiet, "without")
    assert without.shape == (6, 2)
    assert without[0] == pytest.approx([0.96, 0.92])
    expected = without.std(ddof=1) / ratios(quiet, "with").std(ddof=1)
    found = times(quiet)
    assert found.estimate == pytest.approx(expected)
    assert found.low < found.estimate < found.high or np.isclose(found.low, found.high)
    told = markdown(frame)
    assert f"| quiet | 6 | {100 * without.std(ddof=1):.2f} |" in told
    assert "(yes) | 2.0; 2.0 |" in told
    assert "3 copies of ResNet-18 at 32 px, 0.1 s for each benchmark either way" in told
    swapped = frame.assign(way=frame["way"].map({"with": "without", "without": "with"}))
    assert "(**no**)" in markdown(swapped)


def test_one_copy_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It has nothing to differ from."""
    with pytest.raises(SystemExit, match="2"):
        main(["plugin", "--models", "1"])
    assert "argument --models: must be 2 or more, got 1" in capsys.readouterr().err


@pytest.mark.slow
def test_real_sessions_leave_medians_of_every_copy(tmp_path: Path) -> None:
    """Of pytest-benchmark itself, both ways."""
    flags = ["--pairs", "1", "--models", "2", "--seconds", "0.2s", "--size", "32"]
    assert main(["plugin", *flags, "--out", str(tmp_path)]) == 0
    frame = pd.read_csv(tmp_path / PLUGIN)
    assert len(frame) == len(LOADS) * len(WAYS) * 2
    assert (frame["median_s"] > 1e-4).all()
    shown = (tmp_path / SHOWN).read_text()
    assert shown.count("test_forward[copy-2]") == len(WAYS)
