"""The simulation counts what it says, through the rule that stops real runs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.method import coverage as simulation
from bench.method import stopping
from bench.method.__main__ import main
from bench.method.coverage import BETWEEN_ARMS, CELLS, TABLE, Cell, coverage
from bench.method.intervals import CANDIDATES, IN_USE, Candidate
from bench.method.noise import NOISES, Noise
from bench.method.stopping import BLOCKS, FIXED, LONE, PRECISION, Rule, stopped
from bench.options import add_effort
from bench.run.schedule import PROCESSES, is_precise
from bench.stats import Array, Evidence, Interval, evidence
from bench.verdict import judge

QUIET = Noise("normal", lambda rng, shape: 0.005 * rng.standard_normal(shape))
SMALL = (Cell(NOISES[0], 0.005, (BLOCKS[0], LONE[0], FIXED[0])),)


def told(line: str) -> None:
    """Progress that nobody reads."""


def lone(noise: Noise, runs: int = 40) -> Array:
    return Cell(noise, 0.005, LONE).lone(runs, np.random.default_rng(1))


def by_hand(blocks: Array, rule: Rule) -> list[Evidence]:
    """Of each run's first arm, process by process, with the suite's own evidence and rule."""
    final = []
    for run in blocks:
        for processes in range(1, rule.most + 1):
            known = [evidence(list(arm[:processes])) for arm in run]
            ratios = [each for each in known if each is not None]
            if all(is_precise(ratio, PRECISION) for ratio in ratios):
                break
        final.append(ratios[0])
    return final


def test_the_same_seed_gives_the_same_table() -> None:
    """And another one another."""
    one, again, other = (coverage(20, SMALL, told, seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


@pytest.mark.parametrize("rule", SMALL[0].rules, ids=lambda rule: rule.name)
def test_coverage_is_what_counting_by_hand_gives(rule: Rule) -> None:
    """Run by run and arm by arm."""
    runs = 30
    frame = coverage(runs, SMALL, told, 2)
    row = frame[(frame["rule"] == rule.name) & (frame["candidate"] == IN_USE.name)].iloc[0]
    rng = np.random.default_rng((2, 1))
    alone = SMALL[0].lone(runs, rng)
    final = by_hand(alone if rule.arms == 1 else SMALL[0].blocks(runs, rng), rule)
    covered = sum(known.interval().covers(1.0) for known in final)
    assert (row["n"], row["covered"], row["coverage"]) == (runs, covered, covered / runs)
    assert row["processes"] == pytest.approx(np.mean([known.processes for known in final]))
    half_widths = [known.interval().half_width for known in final]
    assert row["half_width_pct"] == pytest.approx(100 * np.mean(half_widths))
    if rule.arms > 1:
        assert row["false_alarms"] == np.mean([judge([known]) == ["slower"] for known in final])
        assert row["found"] > row["false_alarms"]
    else:
        assert np.isnan(row["found"])


def test_arms_of_a_block_share_what_their_trunk_does() -> None:
    """Their medians correlate, those of processes and runs do not; each scatters as ever."""
    cell = Cell(NOISES[0], 0.012, BLOCKS)
    medians = cell.blocks(600, np.random.default_rng(4))[..., 0]
    assert medians.shape == (600, 7, 24)
    by_arm = np.atleast_2d(np.corrcoef(medians.transpose(1, 0, 2).reshape(7, -1)))
    assert by_arm[np.triu_indices(7, 1)] == pytest.approx(np.full(21, BETWEEN_ARMS), abs=0.04)
    by_process = np.atleast_2d(np.corrcoef(medians[:, 0].T))
    assert np.abs(by_process[np.triu_indices(24, 1)]).max() < 0.2
    alone = np.median(cell.lone(600, np.random.default_rng(5)), axis=-1)
    assert medians.std() == pytest.approx(alone.std(), rel=0.03)


def test_coverage_has_its_exact_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 runs that all cover: from 1 - (1 - 0.025 ** (1 / 20)) on, by Clopper and Pearson."""
    monkeypatch.setattr(Interval, "covers", lambda self, value: True)
    row = coverage(20, SMALL, told).iloc[0]
    assert row["coverage_low"] == pytest.approx(0.025 ** (1 / 20))
    assert row["coverage_high"] == 1.0


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_the_rule_is_the_one_of_real_runs(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told that nothing is precise, every run goes on to its budget; that all is, none does."""
    asked: list[float] = []

    def always(ratio: Evidence, precision: float) -> bool:
        asked.append(precision)
        return True

    def processes(noise: Noise) -> set[int]:
        rule = Rule("short", PROCESSES, PROCESSES + 2)
        return {known.processes for known in stopped(lone(noise, 5), candidate, rule)}

    assert processes(QUIET) == {PROCESSES}
    monkeypatch.setattr(stopping, "is_precise", lambda ratio, precision: False)
    assert processes(QUIET) == {PROCESSES + 2}
    monkeypatch.setattr(stopping, "is_precise", always)
    assert processes(NOISES[0]) == {PROCESSES}
    assert set(asked) == {PRECISION}


@pytest.mark.parametrize("rule", [LONE[1], BLOCKS[1]], ids=lambda rule: rule.name)
def test_a_run_ends_when_the_last_of_its_arms_is_precise(rule: Rule) -> None:
    """As counted by hand; some sooner, some later."""
    cell = Cell(NOISES[0], 0.005, (rule,))
    rng = np.random.default_rng(8)
    values = cell.lone(30, rng) if rule.arms == 1 else cell.blocks(30, rng)
    found = stopped(values, IN_USE, rule)
    expected = by_hand(values, rule)
    assert [known.processes for known in found] == [known.processes for known in expected]
    assert [k.estimate for k in found] == pytest.approx([k.estimate for k in expected])
    assert len({known.processes for known in found}) > 3


def test_nothing_is_asked_before_the_rule_could_say_yes() -> None:
    """With fewer processes than the simulation starts from, no interval is precise."""
    assert not is_precise(Evidence(1.0, 0.0, PROCESSES - 1), PRECISION)
    assert {rule.least for rule in (*LONE, *BLOCKS)} == {PROCESSES}


def test_the_precision_is_the_default_of_a_run() -> None:
    """What the simulation asks for is what `run` asks for."""
    parser = argparse.ArgumentParser()
    add_effort(parser)
    assert pytest.approx(parser.parse_args([]).precision) == 100 * PRECISION


def test_every_kind_meets_every_process_effect() -> None:
    """And no two cells share a row of the table."""
    assert len({(cell.noise.name, cell.process_effect) for cell in CELLS}) == len(CELLS) == 24


def test_the_command_leaves_a_table_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line to files, with a line of progress for every cell."""
    monkeypatch.setattr(simulation, "CELLS", SMALL)
    assert main(["coverage", "--runs", "20", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    files = [str(tmp_path / name) for name in (TABLE, "coverage.png", "coverage.svg")]
    assert said == ["1/1  normal, process effect 0.5 %", *files]
    frame = pd.read_csv(tmp_path / TABLE)
    assert len(frame) == 1 + 4 + 4
    assert (frame["n"] == 20).all()
    assert frame["coverage"].between(frame["coverage_low"], frame["coverage_high"]).all()


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_a_count_that_is_none_is_refused(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that names the flag, with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main(["coverage", f"--runs={runs}"])
    assert stop.value.code == 2
    assert f"--runs: must be a positive integer, got '{runs}'" in capsys.readouterr().err
