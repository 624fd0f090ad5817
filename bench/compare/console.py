"""What a person reads of a comparison, the verdict first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.compare.comparison import WEIGHED, Pair, RunComparison, TimeChange, TrialComparison
from bench.environment import Source
from bench.stats import Interval
from bench.trial import Trial
from bench.verdict import Verdict

# So many variants that are slower are named in the first line.
NAMED = 5
_UNKNOWN = "–"
_HASH = 10


def verdict_line(pair: Pair) -> str:
    """One sentence on the time of B against that of A."""
    if pair.time is None or pair.verdict is None:
        return f"Times are not compared: {pair.reason}."
    time, interval = pair.time, pair.time.ratio.interval().scaled(100.0, -100.0)
    word = "slower"
    if interval.estimate < 0:
        word = "faster"
        interval = Interval(-interval.estimate, -interval.high, -interval.low)
    size = f"{interval.estimate:.1f} %"
    if interval.is_bounded:
        size += f" [{interval.low:.1f}, {interval.high:.1f}]"
    line = f"{_name(pair.b)} is {size} {word} than {_name(pair.a)}: {pair.verdict}"
    if not interval.is_bounded:
        line += ", since one process alone gives no interval"
    elif time.doubt is not None:
        line += f", since {time.doubt}"
    elif pair.verdict == "undecided" and pair.detectable is not None:
        line += f", a slowdown of {100 * pair.detectable:.1f} % would mostly have been found"
    return f"{line[0].upper() if _is_trunk(pair.b) else line[0]}{line[1:]} ({_how(time)})."


def print_comparison(
    comparison: TrialComparison | RunComparison, names: tuple[str, str], console: Console
) -> None:
    """All of it; ``names`` are those by which a person asked for A and B."""
    match comparison:
        case TrialComparison():
            _print_trials(comparison.pair, console)
        case RunComparison():
            _print_runs(comparison, names, console)


def _say(line: str, console: Console) -> None:
    """As it is: a console that is none gets it unbroken, and brackets are no markup."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_trials(pair: Pair, console: Console) -> None:
    """The sentence, then what is known of both side by side."""
    _say(verdict_line(pair), console)
    table = _table(["", f"A: {_name(pair.a)}", f"B: {_name(pair.b)}", "B over A, %"])
    if pair.time is not None:
        overheads = [
            "0" if each is None else f"{100 * each.estimate:+.1f} {_ends(each)}"
            for each in pair.time.overheads
        ]
        change = pair.time.ratio.interval().scaled(1.0, -1.0)
        table.add_row(
            "overhead over the trunk, %",
            *overheads,
            f"{100 * change.estimate:+.1f} {_ends(change)}",
        )
    for count in pair.counts:
        if (count.before, count.after) != (None, None):
            measured = " (measured)" if count.name in WEIGHED else ""
            table.add_row(
                count.name + measured,
                _whole(count.before),
                _whole(count.after),
                _percent(count.percent),
            )
    console.print(table)


def _print_runs(comparison: RunComparison, names: tuple[str, str], console: Console) -> None:
    """The sentence, a row per trial, the counts that differ, and what only one of the runs has."""
    _say(_runs_line(comparison), console)
    _say(f"A is {names[0]}, B is {names[1]}. {_sources_line(*comparison.sources)}", console)
    by_setting: dict[str, list[Pair]] = {}
    for pair in comparison.pairs:
        by_setting.setdefault(pair.a.setting.key, []).append(pair)
    for setting, pairs in by_setting.items():
        console.print(f"\n[bold]{setting}[/bold]", highlight=False)
        table = _table(
            ["variant", "overhead A, %", "overhead B, %", "change %", "95 % interval", "procs",
             "verdict"], left=("variant", "verdict"),
        )  # fmt: skip
        for pair in pairs:
            table.add_row(*_run_cells(pair))
        console.print(table)
    _print_counts(comparison.pairs, console)
    for name, trials in (("A", comparison.only_a), ("B", comparison.only_b)):
        if trials:
            keys = ", ".join(trial.key for trial in trials)
            _say(f"\nOnly in {name}: {keys}", console)


def _runs_line(comparison: RunComparison) -> str:
    timed = [pair for pair in comparison.pairs if pair.verdict is not None]
    if not timed:
        return (
            "B against A: both runs measured the time of no variant, so only counts are compared."
        )
    by_verdict: dict[Verdict, list[Pair]] = {"slower": [], "not slower": [], "undecided": []}
    for pair in timed:
        if pair.verdict is not None:
            by_verdict[pair.verdict].append(pair)
    slower = by_verdict["slower"]
    names = ", ".join(f"{pair.b.variant.key} {_change(pair)}" for pair in slower[:NAMED])
    more = f" and {len(slower) - NAMED} more" if len(slower) > NAMED else ""
    counted = ", ".join(f"{len(found)} {verdict}" for verdict, found in by_verdict.items())
    line = f"B against A, {len(timed)} variants: {counted}"
    line += f"; slower: {names}{more}" if slower else ""
    if any(1 in pair.time.processes for pair in timed if pair.time):
        line += "; one process alone gives no interval"
    return f"{line} (not paired: each against the trunk of its own run)."


def _sources_line(a: Source, b: Source) -> str:
    if a.fingerprint == b.fingerprint:
        return "Both measured the same source."
    return f"Their sources differ: {_source(a)} in A, {_source(b)} in B."


def _source(source: Source) -> str:
    commit = "no commit" if source.commit is None else f"commit {source.commit[:_HASH]}"
    return f"{source.fingerprint} ({commit}{', changed' if source.dirty_diff else ''})"


def _run_cells(pair: Pair) -> tuple[str, ...]:
    name = _name(pair.b)
    if pair.time is None:
        return (name, "", "", "", "", "", escape(f"not compared: {pair.reason}"))
    overheads = [
        "" if each is None else f"{100 * each.estimate:+.1f}" for each in pair.time.overheads
    ]
    interval = pair.time.ratio.interval().scaled(1.0, -1.0)
    processes = " and ".join(map(str, pair.time.processes))
    return (
        name,
        *overheads,
        f"{100 * interval.estimate:+.1f}",
        _ends(interval),
        processes,
        _word(pair),
    )


def _word(pair: Pair) -> str:
    """The verdict; where it is open, with the cause, or with what could have been seen."""
    time, reach = pair.time, pair.detectable
    if pair.verdict != "undecided" or time is None or reach is None or math.isinf(reach):
        return str(pair.verdict)
    return f"undecided ({time.doubt or f'<{100 * reach:.1f}'})"


def _print_counts(pairs: Sequence[Pair], console: Console) -> None:
    differing = [(pair, count) for pair in pairs for count in pair.counts if count.differs]
    known = [pair for pair in pairs if any(None not in (c.before, c.after) for c in pair.counts)]
    if not differing:
        equal = f"All counts of the {len(known)} trials that both runs counted are equal."
        console.print(f"\n{equal}" if known else "\nNo trial was counted by both.", highlight=False)
        return
    console.print("\n[bold]Counts that differ[/bold]", highlight=False)
    table = _table(["variant", "count", "A", "B", "change %"], left=("variant", "count"))
    for pair, count in differing:
        table.add_row(
            pair.b.key,
            count.name,
            _whole(count.before),
            _whole(count.after),
            _percent(count.percent),
        )
    console.print(table)


def _how(time: TimeChange) -> str:
    (rounds, rounds_b), (processes, processes_b) = time.rounds, time.processes
    if time.is_paired:
        return f"paired, {rounds} rounds of {processes} process{'es' if processes > 1 else ''}"
    return (
        f"not paired: each against the trunk of its own block, {rounds} and {rounds_b} rounds "
        f"of {processes} and {processes_b} processes"
    )


def _name(trial: Trial) -> str:
    return "the plain trunk" if _is_trunk(trial) else trial.variant.se.label


def _is_trunk(trial: Trial) -> bool:
    return trial == trial.trunk


def _change(pair: Pair) -> str:
    return "" if pair.time is None else f"{100 * (pair.time.ratio.estimate - 1):+.1f} %"


def _ends(interval: Interval) -> str:
    if not interval.is_bounded:
        return "one process"
    return f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _whole(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else "0" if value == 0 else f"{value:+.3g}"


def _table(columns: Sequence[str], left: Sequence[str] = ("",)) -> Table:
    """Words wrap where the console is narrow; numbers never do."""
    table = Table(box=None, header_style="bold")
    for name in columns:
        is_text = name in left
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
    return table
