"""What `pytest --benchmark-interleave` makes of pytest-benchmark's medians where models are equal.

Sessions of pytest-benchmark over copies of one model, in pairs: one as
pytest-benchmark is, one in rounds, right before or after, with the same time
for each benchmark; in quiet and under a load that is started for the purpose.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np
import pandas as pd

from bench.cpus import usable_cpus
from bench.environment import describe_machine, describe_source
from bench.files import replacing
from bench.method.load import LOADS, Load, under
from bench.method.proof import spread_over
from bench.method.pytest_sessions import FORWARDS, Ended, Forwards, medians_s, session
from bench.stats import Array, Interval
from bench.trial import Trial, Variant, Workload
from bench.waiting import Waiting

PLUGIN, SHOWN = "plugin.csv", "plugin.txt"
# How a session measures: one benchmark after the other, or all of them in rounds.
Way = Literal["without", "with"]
WAYS: tuple[Way, ...] = get_args(Way)
# Ratios of equal benchmarks' medians are to spread so many times less with the plugin.
LEAST_TIMES = 3.0
ROOT = Path(__file__).resolve().parents[2]
_FLAGS: dict[Way, tuple[str, ...]] = {"without": (), "with": ("--benchmark-interleave",)}
_COLUMNS = "--benchmark-columns=min,median,iqr,rounds"


@dataclass(frozen=True)
class Asked:
    """What a session measures: so many equal models, each for so many seconds."""

    models: int
    seconds: float
    size: int
    threads: int

    def forwards(self, waiting: Waiting) -> Forwards:
        """Plain ResNet-18, again and again."""
        trial = Trial(Variant("resnet18"), Workload(size=self.size, threads=self.threads))
        text = msgspec.json.encode(trial).decode()
        names = [f"copy-{number}" for number in range(1, self.models + 1)]
        return Forwards(dict.fromkeys(names, text), self.seconds, waiting)


@dataclass(frozen=True)
class Session:
    """One that ended: what its terminal showed, and its medians in seconds by benchmark."""

    load: Load
    pair: int
    way: Way
    is_first: bool
    ended: Ended
    medians_s: dict[str, float]

    def rows(self) -> Iterator[dict[str, object]]:
        """One for each benchmark."""
        for name, median_s in self.medians_s.items():
            yield {
                "load": self.load, "pair": self.pair, "way": self.way, "first": self.is_first,
                "session_s": self.ended.wall_s, "benchmark": name, "median_s": median_s,
            }  # fmt: skip


def about(asked: Asked) -> dict[str, object]:
    """What all rows have in common: the machine, what is run, and what was asked for."""
    source, machine = describe_source(), describe_machine()
    return {
        "cpu": machine.cpu,
        "torch": machine.packages["torch"],
        "pytest_benchmark": version("pytest-benchmark"),
        "source": source.fingerprint,
        "commit": source.commit and source.commit[:7] + ("+" if source.dirty_diff else ""),
        "size": asked.size,
        "threads": asked.threads,
        "seconds": asked.seconds,
        "models": asked.models,
    }


def record(
    asked: Asked,
    pairs: int,
    waiting: dict[Load, Waiting],
    folder: Path,
    tell: Callable[[str], None],
) -> tuple[Path, Path]:
    """Pairs of sessions, both loads in turn, either way first as often, into a table.

    It is written anew after each pair, so that Ctrl-C loses the one under way alone,
    and gone on with where all that rows have in common is what it was. What the terminals of
    the first pair under load showed is kept beside it. The paths of both.

    Args:
        asked: of each session.
        pairs: under each load.
        waiting: how threads wait under each.
        folder: of the table.
        tell: is given a line before each pair.

    Raises:
        RuntimeError: if a session fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, shown = folder / PLUGIN, folder / SHOWN
    common = about(asked)
    frame = _known(table, common)
    done = set(zip(frame["pair"], frame["load"], strict=True)) if len(frame) else set()
    for pair, load in product(range(pairs), LOADS):
        if (pair, load) in done:
            continue
        tell(f"pair {pair + 1} of {pairs} of sessions, {load}")
        sessions = _pair(asked, pair, load, waiting[load])
        rows = [common | row for session in sessions for row in session.rows()]
        frame = pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)
        with replacing(table) as draft:
            frame.to_csv(draft, index=False)
        if (pair, load) == (0, "loaded"):
            with replacing(shown) as draft:
                draft.write_text(side_by_side(sessions), encoding="utf-8")
    return table, shown


def _known(table: Path, common: dict[str, object]) -> pd.DataFrame:
    """The rows that there are of the very same; of anything else, none."""
    if not table.exists():
        return pd.DataFrame()
    frame = pd.read_csv(table, dtype={"commit": str})  # which may be digits alone
    same = all(name in frame and (frame[name] == value).all() for name, value in common.items())
    return frame if same else pd.DataFrame()


def _pair(asked: Asked, pair: int, load: Load, waiting: Waiting) -> tuple[Session, Session]:
    order = WAYS if pair % 2 else WAYS[::-1]
    with under(load, usable_cpus()):
        first, second = (_session(asked, way, waiting, seed=pair) for way in order)
    return (
        Session(load, pair, order[0], True, *first),
        Session(load, pair, order[1], False, *second),
    )


def _session(
    asked: Asked, way: Way, waiting: Waiting, *, seed: int
) -> tuple[Ended, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="se-bench-plugin-") as name:
        flags = [*_FLAGS[way], _COLUMNS, "--benchmark-save=this"]
        if way == "with":
            flags.append(f"--benchmark-interleave-seed={seed}")
        ended = session(ROOT, Path(name), asked.forwards(waiting), flags)
        medians = medians_s(Path(name), "this")
    if ended.code or len(medians) != asked.models:
        raise RuntimeError(f"pytest-benchmark failed:\n{ended.output}")
    return ended, medians


def side_by_side(pair: Sequence[Session]) -> str:
    """What two terminals showed of their benchmarks, without the plugin and with it."""
    by_way = {each.way: each.ended.output for each in pair}
    return "\n".join(
        f"$ pytest {' '.join((Path(FORWARDS).name, *_FLAGS[way]))}\n{_table_in(by_way[way])}"
        for way in WAYS
    )


def _table_in(output: str) -> str:
    """pytest-benchmark's table, without the explanations below it."""
    lines = output.splitlines()
    start = next(place for place, line in enumerate(lines) if " benchmark: " in line)
    end = next(place for place, line in enumerate(lines) if line.startswith("Legend:"))
    return "\n".join(line.rstrip() for line in lines[start:end]).rstrip() + "\n"


def ratios(frame: pd.DataFrame, way: Way) -> Array:
    """Of every other median to that of the session's first benchmark: sessions, models.

    Args:
        frame: rows of `record` of one load.
        way: of which sessions.
    """
    wide = frame[frame["way"] == way].pivot(index="pair", columns="benchmark", values="median_s")
    medians = wide[frame["benchmark"].unique()].to_numpy(np.float64)
    return np.asarray(medians[:, 1:] / medians[:, :1])


def times(frame: pd.DataFrame) -> Interval:
    """How many times as far ratios spread without the plugin, with a bootstrap interval.

    Args:
        frame: rows of one load.
    """
    return spread_over(ratios(frame, "without")[np.newaxis], ratios(frame, "with"))


def markdown(frame: pd.DataFrame) -> str:
    """A row for each load: how far ratios spread both ways, and whether that is what was asked.

    Args:
        frame: rows of `record`.
    """
    head = (
        "| | sessions each way | sd of the ratios without, % | with it, % | times less "
        "| a session took, s |\n| --- | --- | --- | --- | --- | --- |\n"
    )
    first = frame.iloc[0]
    return (
        head
        + "".join(_row(load, frame[frame["load"] == load]) for load in frame["load"].unique())
        + f"\n{first['cpu']}, {first['threads']} threads, source of {first['commit']}, "
        f"pytest-benchmark {first['pytest_benchmark']}; {first['models']} copies of ResNet-18 at "
        f"{first['size']} px, {first['seconds']:g} s for each benchmark either way; ratios of "
        f"medians to that of a session's first benchmark. Asked for are at least "
        f"{LEAST_TIMES:g} times.\n"
    )


def _row(load: str, frame: pd.DataFrame) -> str:
    without, within = ratios(frame, "without"), ratios(frame, "with")
    found = times(frame)
    interval = f" [{found.low:.1f}, {found.high:.1f}]" if found.is_bounded else ""
    met = "yes" if found.estimate >= LEAST_TIMES else "**no**"
    took_s = frame.groupby("way")["session_s"].mean()
    return (
        f"| {load} | {len(without)} | {100 * without.std(ddof=1):.2f} "
        f"| {100 * within.std(ddof=1):.2f} | {found.estimate:.1f}{interval} ({met}) "
        f"| {took_s['without']:.1f}; {took_s['with']:.1f} |\n"
    )
