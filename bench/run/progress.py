"""What a person sees while a run goes on: live on a terminal, plain lines elsewhere.

A display paints only when it is told something, which the run does between
rounds: it has no thread and no timer of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from bench.record import Arm
from bench.stats import Interval

PAINT_EVERY_S = 1.0
PLAIN_EVERY_S = 15.0
# Before so much of a phase is done, its pace says little about what is left.
ESTIMATE_FROM = 0.05


@dataclass
class Phase:
    """A part of a run: how far it is, and how long it will take.

    ``deadline`` and ``started`` are on the monotonic clock; a phase with a
    deadline may end before it.
    """

    name: str
    total: int
    deadline: float | None = None
    done: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    @property
    def fraction(self) -> float:
        """How far it is, between 0 and 1: by what is done, or by the time if that is further."""
        by_count = self.done / self.total if self.total else 1.0
        if self.deadline is None:
            return by_count
        now = time.monotonic()
        if now >= self.deadline:
            return 1.0
        return max(by_count, (now - self.started) / (self.deadline - self.started))

    @property
    def left(self) -> str:
        """How long it may still take; empty while nobody knows, and when nothing is left."""
        now = time.monotonic()
        if self.deadline is not None:
            return f"at most {_minutes(max(0.0, self.deadline - now))} left"
        if not ESTIMATE_FROM <= self.fraction < 1:
            return ""
        return f"about {_minutes((now - self.started) * (1 / self.fraction - 1))} left"


class Display(Protocol):
    """What a run tells of itself."""

    def begin(self, phase: str, total: int, *, deadline: float | None = None) -> None:
        """A phase with so many things to do begins; ``deadline`` on the monotonic clock."""

    def done(self, count: int) -> None:
        """So many of the phase's things are done."""

    def advance(self) -> None:
        """One more is done."""

    def overheads(self, title: str, overheads: dict[Arm, Interval]) -> None:
        """What is known so far of the block that is measured."""

    def preparing(self, arm: Arm) -> None:
        """An arm is built, exported or compiled, which may take minutes."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def tick(self) -> None:
        """A pause, in which a display that has something new may paint."""


class LiveDisplay:
    """Bars and a table that repaint in place; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[left]}"),
            auto_refresh=False,
        )
        # What was seen of each block, the current one last.
        self._seen: dict[str, dict[Arm, Interval]] = {}
        self._phase: Phase | None = None
        self._bar: TaskID | None = None
        self._doing = ""
        self._painted_at = 0.0
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._seen, self._doing = {}, ""
        self._paint()
        self._live.__exit__(None, None, None)

    def begin(self, phase: str, total: int, *, deadline: float | None = None) -> None:
        self._update_bar()  # the last of the phase before
        self._phase = Phase(phase, total, deadline)
        self._bar = self._bars.add_task(phase, total=1.0, count="", left="")
        self._paint()

    def done(self, count: int) -> None:
        if self._phase is not None:
            self._phase.done = count
        self.tick()

    def advance(self) -> None:
        if self._phase is not None:
            self._phase.done += 1
        self.tick()

    def overheads(self, title: str, overheads: dict[Arm, Interval]) -> None:
        self._seen.pop(title, None)
        self._seen[title] = overheads
        self._doing = ""

    def preparing(self, arm: Arm) -> None:
        self._doing = _preparing(arm)
        self._paint()

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False, markup=False)

    def tick(self) -> None:
        if time.monotonic() - self._painted_at >= PAINT_EVERY_S:
            self._paint()

    def _paint(self) -> None:
        self._update_bar()
        doing = [Text(self._doing, style="dim")] if self._doing else []
        self._live.update(Group(self._bars, *doing, *_tables(self._seen)), refresh=True)
        self._painted_at = time.monotonic()

    def _update_bar(self) -> None:
        if self._phase is None or self._bar is None:
            return
        phase = self._phase
        count = f"{phase.done}/{phase.total}"
        self._bars.update(self._bar, completed=phase.fraction, count=count, left=phase.left)


class PlainDisplay:
    """A line now and then, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase: Phase | None = None
        self._latest = ""
        self._said_at = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.flush()

    def begin(self, phase: str, total: int, *, deadline: float | None = None) -> None:
        self._phase, self._latest = Phase(phase, total, deadline), ""
        self._say()

    def done(self, count: int) -> None:
        if self._phase is not None:
            self._phase.done = count
        self.tick()

    def advance(self) -> None:
        if self._phase is None:
            return
        self.done(self._phase.done + 1)
        if self._phase.done == self._phase.total:
            self._say()

    def overheads(self, title: str, overheads: dict[Arm, Interval]) -> None:
        shown = ", ".join(f"{_name(arm)} {_short(interval)}" for arm, interval in overheads.items())
        self._latest = f"{title}: {shown}" if shown else ""

    def preparing(self, arm: Arm) -> None:
        self._latest = _preparing(arm)
        self.tick()

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def tick(self) -> None:
        if time.monotonic() - self._said_at >= PLAIN_EVERY_S:
            self._say()

    def _say(self) -> None:
        if self._phase is None:
            return
        phase = self._phase
        left = f", {phase.left}" if phase.left else ""
        latest = f"; {self._latest}" if self._latest else ""
        line = f"{phase.name}: {phase.done} of {phase.total}{left}{latest}"
        print(line, file=self._stream, flush=True)
        self._said_at = time.monotonic()


def display_for(console: Console) -> LiveDisplay | PlainDisplay:
    """Live where the console is a terminal."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(sys.stdout)


def _tables(seen: dict[str, dict[Arm, Interval]]) -> Iterator[RenderableType]:
    """The current block in full, then what the others have come to, the cheapest first."""
    if not seen:
        return
    *others, current = seen
    if seen[current]:
        table = Table(title=current, title_justify="left", box=None)
        table.add_column("variant")
        table.add_column("overhead", justify="right")
        table.add_column("95 % interval", justify="right")
        for arm, interval in seen[current].items():
            table.add_row(_name(arm), _percent(interval.estimate), _ends(interval))
        yield table
    rest = [
        (interval.estimate, f"{_name(arm)} {_short(interval)}")
        for title in others
        for arm, interval in seen[title].items()
        if arm.role == "variant"
    ]
    if rest:
        yield Columns([text for _, text in sorted(rest)], title="other blocks so far")


def _name(arm: Arm) -> str:
    """The arm's, with its path where that is not the plain one."""
    name = "control" if arm.role == "control" else arm.trial.variant.se.label
    return name if arm.trial.path.is_plain else f"{name} {arm.trial.path.label}"


def _preparing(arm: Arm) -> str:
    trial = arm.trial
    name = trial.variant.se.label if arm.role == "variant" else f"the plain trunk ({arm.role})"
    return f"preparing {name} by {trial.path.label}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %"


def _short(interval: Interval) -> str:
    reach = f" ±{100 * interval.half_width:.1f}" if interval.is_bounded else ""
    return f"{_percent(interval.estimate)}{reach}"


def _ends(interval: Interval) -> str:
    if not interval.is_bounded:
        return ""
    return f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
