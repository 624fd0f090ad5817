"""What a person sees while a run goes on."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from bench.grid import Grid, plan_blocks
from bench.record import Arm
from bench.run.progress import LiveDisplay, Phase, PlainDisplay
from bench.stats import Interval
from bench.trial import Path

FIRST, SECOND = plan_blocks(
    Grid(placements=("standard",), reductions=(2, 4, 8, 16, 32, 64, 128)).trials()
)


def overheads(arms: tuple[Arm, ...], percent: float) -> dict[Arm, Interval]:
    estimate = percent / 100
    return {arm: Interval(estimate, estimate - 0.01, estimate + 0.01) for arm in arms[1:]}


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(screen: io.StringIO) -> Console:
    return Console(file=screen, width=100, height=40, force_terminal=True, color_system=None)


def test_live_shows_this_block_in_full_and_the_others_in_short(
    console: Console, screen: io.StringIO
) -> None:
    """Trials done, the current block, all overheads so far with intervals, time left."""
    with LiveDisplay(console) as display:
        display.begin("measuring, precise", 10, deadline=time.monotonic() + 90)
        display.overheads("block 1 of 2", overheads(FIRST.arms, 5.0))
        display.overheads("block 2 of 2", overheads(SECOND.arms, 7.0))
        display.done(3)
        screen.truncate(0)
        display._paint()
        shown = screen.getvalue()
    assert "3/10" in shown
    assert "at most 1:2" in shown
    current, others = shown.split("other blocks so far")
    assert "block 2 of 2" in current
    assert "standard-r128" in current
    assert "[+6.0, +8.0]" in current
    assert "standard-r2 +5.0 % ±1.0" in others
    assert "control" not in others


def test_live_paints_at_most_once_a_second(
    console: Console, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick between two rounds that follow close on each other costs nothing."""
    now = 100.0
    monkeypatch.setattr("bench.run.progress.time.monotonic", lambda: now)
    with LiveDisplay(console) as display:
        display.begin("measuring, precise", 10)
        before = len(screen.getvalue())
        display.done(1)
        assert len(screen.getvalue()) == before
        now = 101.0
        display.tick()
        assert len(screen.getvalue()) > before


def test_time_left_follows_from_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown at first, then in proportion; nothing is left of what is done."""
    now = 100.0
    monkeypatch.setattr("bench.run.progress.time.monotonic", lambda: now)
    phase = Phase("taking stock", 40)
    assert (phase.fraction, phase.left) == (0.0, "")
    now, phase.done = 130.0, 10
    assert (phase.fraction, phase.left) == (0.25, "about 1:30 left")
    phase.done = 40
    assert (phase.fraction, phase.left) == (1.0, "")


def test_a_phase_with_a_deadline_is_as_far_as_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or further, if more is done; past the deadline it is full."""
    now = 100.0
    monkeypatch.setattr("bench.run.progress.time.monotonic", lambda: now)
    phase = Phase("measuring, precise", 8, deadline=200.0)
    now = 150.0
    assert (phase.fraction, phase.left) == (0.5, "at most 0:50 left")
    phase.done = 6
    assert phase.fraction == 0.75
    now = 230.0
    assert (phase.fraction, phase.left) == (1.0, "at most 0:00 left")
    assert Phase("measuring, precise", 8, deadline=200.0).fraction == 1.0


def test_a_note_stays_on_the_screen(console: Console, screen: io.StringIO) -> None:
    """It stands above what repaints."""
    with LiveDisplay(console) as display:
        display.begin("taking stock", 2)
        display.note("a variant: oom, MemoryError")
    assert "a variant: oom, MemoryError" in screen.getvalue()


def test_plain_lines_tell_the_same_without_control_codes(screen: io.StringIO) -> None:
    """For logs: a line when a phase begins and when it is done."""
    with PlainDisplay(screen) as display:
        display.begin("taking stock", 2)
        display.overheads("block 1 of 2", overheads(FIRST.arms, 5.0))
        display.advance()
        display.advance()
    first, last = screen.getvalue().splitlines()
    assert first == "taking stock: 0 of 2"
    assert last.startswith("taking stock: 2 of 2; block 1 of 2: control +5.0 % ±1.0, standard-r2")
    assert "\x1b" not in screen.getvalue()


def test_what_is_prepared_is_told_until_it_is_measured(
    console: Console, screen: io.StringIO
) -> None:
    """It may take minutes, and is seen at once."""
    (block,) = plan_blocks(
        Grid(placements=("standard",), reductions=(4,), paths=(Path(executor="compile"),)).trials()
    )
    with LiveDisplay(console) as display:
        display.begin("measuring, precise", 10)
        display.preparing(block.arms[-1])
        assert "preparing standard-r4 by compile" in screen.getvalue()
        display.overheads("block 1 of 1", {})
        screen.truncate(0)
        display._paint()
        assert "preparing" not in screen.getvalue()
        display.preparing(block.arms[1])
        assert "preparing the plain trunk (control) by compile" in screen.getvalue()


def test_what_looks_like_markup_is_shown(console: Console, screen: io.StringIO) -> None:
    """As the name of an extra in brackets does."""
    with LiveDisplay(console) as display:
        display.note("unsupported, pip install 'se-bench[onnx]'")
    assert "'se-bench[onnx]'" in screen.getvalue()
