"""What a person sees while a run goes on: live on a terminal, plain lines elsewhere.

A display paints only when it is told something, which the run does between
rounds: it has no thread and no timer of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Protocol, TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from bench.record import Arm
from bench.stats import Interval

PAINT_EVERY_S = 1.0
PLAIN_EVERY_S = 15.0


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

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def tick(self) -> None:
        """A pause, in which a display that has something new may paint."""


class LiveDisplay:
    """Bars and a table that repaint in place; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            auto_refresh=False,
        )
        # What was seen of each block, the current one last.
        self._seen: dict[str, dict[Arm, Interval]] = {}
        self._task: TaskID | None = None
        self._deadline: float | None = None
        self._painted_at = 0.0
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._seen = {}
        self._paint()
        self._live.__exit__(None, None, None)

    def begin(self, phase: str, total: int, *, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._task = self._bars.add_task(phase, total=total, left="")
        self._paint()

    def done(self, count: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=count)
        self.tick()

    def advance(self) -> None:
        if self._task is not None:
            self._bars.advance(self._task)
        self.tick()

    def overheads(self, title: str, overheads: dict[Arm, Interval]) -> None:
        self._seen.pop(title, None)
        self._seen[title] = overheads

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def tick(self) -> None:
        if time.monotonic() - self._painted_at >= PAINT_EVERY_S:
            self._paint()

    def _paint(self) -> None:
        if self._task is not None and self._deadline is not None:
            left_s = max(0.0, self._deadline - time.monotonic())
            self._bars.update(self._task, left=f"at most {_minutes(left_s)} left")
        self._live.update(Group(self._bars, *_tables(self._seen)), refresh=True)
        self._painted_at = time.monotonic()


class PlainDisplay:
    """A line now and then, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase, self._total, self._done = "", 0, 0
        self._deadline: float | None = None
        self._latest = ""
        self._said_at = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.flush()

    def begin(self, phase: str, total: int, *, deadline: float | None = None) -> None:
        self._phase, self._total, self._done = phase, total, 0
        self._deadline, self._latest = deadline, ""
        self._say()

    def done(self, count: int) -> None:
        self._done = count
        self.tick()

    def advance(self) -> None:
        self.done(self._done + 1)
        if self._done == self._total:
            self._say()

    def overheads(self, title: str, overheads: dict[Arm, Interval]) -> None:
        shown = ", ".join(f"{_name(arm)} {_short(interval)}" for arm, interval in overheads.items())
        self._latest = f"{title}: {shown}" if shown else ""

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def tick(self) -> None:
        if time.monotonic() - self._said_at >= PLAIN_EVERY_S:
            self._say()

    def _say(self) -> None:
        left = ""
        if self._deadline is not None:
            left = f", at most {_minutes(max(0.0, self._deadline - time.monotonic()))} left"
        latest = f"; {self._latest}" if self._latest else ""
        line = f"{self._phase}: {self._done} of {self._total}{left}{latest}"
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
    return "control" if arm.role == "control" else arm.trial.variant.se.label


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %"


def _short(interval: Interval) -> str:
    return f"{_percent(interval.estimate)} ±{100 * interval.half_width:.1f}"


def _ends(interval: Interval) -> str:
    return f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
