"""The simulation counts what it says, through the rule that stops real runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.method import coverage as simulation
from bench.method import stopping
from bench.method.__main__ import main
from bench.method.coverage import BETWEEN_ARMS, CELLS, TABLE, Cell, coverage
from bench.method.effects import MEMORY
from bench.method.intervals import CANDIDATES, IN_USE, Candidate
from bench.method.noise import NOISES, Noise
from bench.method.stopping import BLOCKS, FIXED, LONE, LOOKS, PRECISION, Rule, stopped
from bench.options import add_effort
from bench.run.passes import LOOK_EVERY_S
from bench.run.schedule import LONGEST_VISIT_S, PROCESSES, is_precise
from bench.stats import Array, Evidence, Interval, evidence
from bench.verdict import judge

QUIET = Noise("normal", lambda rng, shape: 0.005 * rng.standard_normal(shape))
SMALL = (Cell(NOISES[0], 0.005, (BLOCKS[0], LONE[0], FIXED[0])),)


def told(line: str) -> None:
    """Progress that nobody reads."""


def drawn(noise: Noise, rule: Rule, runs: int = 5) -> Array:
    return Cell(noise, 0.005, (rule,)).draw(runs, rule, np.random.default_rng(1))


def by_hand(values: Array, rule: Rule) -> list[Evidence]:
    """Of each run's first arm, look by look, with the suite's own evidence and rule."""
    final = []
    for run in values:
        for processes, look in product(range(rule.most), range(rule.looks)):
            known = [evidence([*arm[:processes, -1], arm[processes, look]]) for arm in run]
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
    rng = np.random.default_rng((2, 1, SMALL[0].rules.index(rule)))
    final = by_hand(SMALL[0].draw(runs, rule, rng), rule)
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


@pytest.mark.parametrize("silent", ["noise", "effects"])
def test_arms_of_a_block_share_what_their_trunk_does(silent: str) -> None:
    """Be it noise or process effects: arms correlate, processes do not; each scatters as ever."""
    noise = Noise("silent", lambda rng, shape: np.zeros(shape)) if silent == "noise" else NOISES[0]
    cell = Cell(noise, 0.012 if silent == "noise" else 0.0, BLOCKS)
    medians = cell.draw(600, BLOCKS[1], np.random.default_rng(4))[..., -1, 0]
    assert medians.shape == (600, 7, 24)
    by_arm = np.atleast_2d(np.corrcoef(medians.transpose(1, 0, 2).reshape(7, -1)))
    assert by_arm[np.triu_indices(7, 1)] == pytest.approx(np.full(21, BETWEEN_ARMS), abs=0.04)
    by_process = np.atleast_2d(np.corrcoef(medians[:, 0].T))
    assert np.abs(by_process[np.triu_indices(24, 1)]).max() < 0.2
    alone = np.median(cell.draw(600, LONE[1], np.random.default_rng(5)), axis=-1)
    assert medians.std() == pytest.approx(alone.std(), rel=0.03)


def test_an_arm_of_a_block_remembers_as_much_as_one_by_itself() -> None:
    """What it shares with the others has the memory that its own effects have."""
    (remembering,) = [noise for noise in NOISES if noise.name == "process memory"]
    silent = replace(remembering, draw=lambda rng, shape: np.zeros(shape))
    values = Cell(silent, 0.012, BLOCKS).draw(600, BLOCKS[1], np.random.default_rng(4))[..., -1, 0]
    found = np.corrcoef(values[..., 1:].ravel(), values[..., :-1].ravel())[0, 1]
    assert found == pytest.approx(MEMORY, abs=0.02)


def test_a_look_within_a_process_sees_its_first_rounds() -> None:
    """The median of the first third of them, of two thirds, of all."""
    counting = Noise("counting", lambda rng, shape: np.broadcast_to(np.arange(shape[2]), shape))
    values = Cell(counting, 0.0, BLOCKS).draw(1, BLOCKS[0], np.random.default_rng(0))
    assert values.shape == (1, 7, BLOCKS[0].most, 3, 1)
    assert np.all(values[..., 0] == [1 + 3.0, 1 + 6.0, 1 + 9.5])


def test_a_process_in_which_a_run_ends_is_cut_short() -> None:
    """It says what it has shown by then, as a visit that real runs end says with its rounds."""
    rule = Rule("two looks", PROCESSES, PROCESSES + 1, arms=2, looks=2)
    values = np.ones((2, 2, rule.most, 2, 1))
    values[:, :, PROCESSES - 1, 1] = 5.0  # which nobody waits for
    values[1, 0, PROCESSES - 1, 0] = 3.0  # in the second run the first look sees no agreement
    cut, whole = stopped(values, IN_USE, rule)
    assert cut == Evidence(1.0, 0.0, PROCESSES)
    assert whole.processes == PROCESSES + 1
    assert whole.estimate == pytest.approx((PROCESSES + 5.0) / (PROCESSES + 1))


def test_blocks_are_looked_at_as_often_as_visits_are() -> None:
    """In the longest visit, at the intervals at which a run looks."""
    assert int(LONGEST_VISIT_S / LOOK_EVERY_S) == LOOKS
    assert {rule.looks for rule in BLOCKS} == {LOOKS}


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
        return {known.processes for known in stopped(drawn(noise, rule), candidate, rule)}

    assert processes(QUIET) == {PROCESSES}
    monkeypatch.setattr(stopping, "is_precise", lambda ratio, precision: False)
    assert processes(QUIET) == {PROCESSES + 2}
    monkeypatch.setattr(stopping, "is_precise", always)
    assert processes(NOISES[0]) == {PROCESSES}
    assert set(asked) == {PRECISION}


@pytest.mark.parametrize("rule", [LONE[1], BLOCKS[1]], ids=lambda rule: rule.name)
def test_a_run_ends_when_the_last_of_its_arms_is_precise(rule: Rule) -> None:
    """As counted by hand; some sooner, some later."""
    values = drawn(NOISES[0], rule, runs=30)
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
    """But none where there is no effect to hang together; no two cells share a row."""
    assert len({(cell.noise.name, cell.process_effect) for cell in CELLS}) == len(CELLS) == 30
    dependent = {cell.process_effect for cell in CELLS if not cell.noise.is_independent}
    assert dependent == {0.005, 0.012, 0.03}


def test_the_command_leaves_a_table_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line to files, with a line of progress for every cell."""
    monkeypatch.setattr(simulation, "CELLS", SMALL)
    assert main(["coverage", "--runs", "20", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    names = (TABLE, "coverage.png", "coverage.svg", "digests.json")
    files = [str(tmp_path / name) for name in names]
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
