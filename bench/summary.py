"""What a person reads: the console's and the Markdown's view of the table, and a run's report."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import path_summary
from bench.ledger import Ledger, VisitLog
from bench.path_matrix import work_of
from bench.path_summary import PATHS_NOTE, by_path, failed_paths
from bench.record import Round

MIB = 2**20
# What a console shows; the Markdown table has all. Those that a narrow one leaves out, first
# to last.
CONSOLE_COLUMNS = (
    "rank", "variant", "overhead %", "95 % interval", "verdict", "procs", "p50 ms", "p95 ms",
    "p99 ms", "images/s", "params M", "RSS MiB",
)  # fmt: skip
EXPENDABLE = ("RSS MiB", "images/s", "p99 ms", "p95 ms", "procs", "params M", "p50 ms", "verdict")
COLUMN_GAP = 2
BREAKDOWN_MARK = " (!)"
PLAIN_WIDTH = 140
# The share of CPU time that a hypervisor may give to others before a run counts as disturbed.
DISTURBED_STEAL = 0.01
_UNKNOWN = "–"
_WORDS = ("variant", "path", "cheapest")


def console_for_output() -> Console:
    """The terminal, or a width that needs no wrapping where output is none."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one setting as text, in the columns that a chooser wants."""
    trunk = rows[rows["placement"] == "none"]
    base = trunk.iloc[0] if len(trunk) else None
    return pd.DataFrame([_line(row, base) for _, row in rows.iterrows()])


def noise_line(rows: pd.DataFrame) -> str:
    """What two equal models differed by in the blocks of these rows."""
    blocks = rows.dropna(subset=["noise_pct"]).drop_duplicates("block")
    if blocks.empty:
        return "Control arm: not measured."
    low, high = blocks["noise_low_pct"].min(), blocks["noise_high_pct"].max()
    if pd.isna(low):
        return "Control arm: measured by one process alone, which gives no interval."
    off = blocks[(blocks["noise_low_pct"] > 0) | (blocks["noise_high_pct"] < 0)]
    least, most = blocks["noise_pct"].min(), blocks["noise_pct"].max()
    line = (
        f"Control arm (a second plain trunk): {least:+.1f}"
        f"{f' to {most:+.1f}' if len(blocks) > 1 else ''} % over {_several(len(blocks), 'block')}, "
        f"95 % intervals within [{low:+.1f}, {high:+.1f}] %"
    )
    scatter = blocks["noise_sd_pct"].median()
    line += "." if pd.isna(scatter) else f"; single pairs scatter by {scatter:.1f} % (sd)."
    if len(off):
        line += (
            f" In {len(off)} of {len(blocks)} the interval does not cover 0: differences "
            f"below {max(abs(low), abs(high)):.1f} % mean nothing here."
        )
    return line


def setting_line(rows: pd.DataFrame, *, with_path: bool = True) -> str:
    """The setting that these rows share, in words; or all of it but the path."""
    row = rows.iloc[0]
    return (
        f"{row['architecture']} on {row['machine']} ({row['device']}): batch {row['batch']}, "
        f"{row['size']} px, {row['dtype']}, {row['layout']}, "
        f"{_several(row['threads'], 'thread')}"
        + (", warm L2 cache" if row["device"] == "cuda" else "")
        + (f", {row['path']}" if with_path else "")
    )


def _several(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def markdown(frame: pd.DataFrame) -> str:
    """The headline table of every setting."""
    parts = []
    for _, rows in _settings(frame):
        table = headline(rows).to_markdown(
            index=False, disable_numparse=True, colalign=_alignment(headline(rows).columns)
        )
        parts.append(f"**{setting_line(rows)}**\n\n{noise_line(rows)}\n\n{table}\n")
    for name, lines, failed in _by_paths(frame):
        table = lines.to_markdown(
            index=False, disable_numparse=True, colalign=_alignment(lines.columns)
        )
        parts.append(f"**{name}: by path**\n\n{PATHS_NOTE}\n\n{table}\n")
        parts += [f"{line}\n" for line in failed]
    return "\n".join(parts)


def print_summary(frame: pd.DataFrame, console: Console) -> None:
    """The headline table of every setting, then those of paths, on a console."""
    for _, rows in _settings(frame):
        console.print(f"\n[bold]{setting_line(rows)}[/bold]", highlight=False)
        console.print(noise_line(rows), highlight=False)
        _print_table(headline(rows)[list(CONSOLE_COLUMNS)], EXPENDABLE, console)
    if not frame.empty and frame["disturbed"].eq(True).any():
        console.print(
            f"{BREAKDOWN_MARK.strip()} Measured in a breakdown: other work took the CPUs, and "
            "threads spun for others that were\nnot running. Measure again in quiet, or with "
            "--waiting passive.",
            highlight=False,
        )
    if not frame.empty and frame["rank"].notna().any():
        console.print(
            "Sorted by overhead: time over the plain trunk's in the same rounds, with its 95 % "
            "interval.\nVariants of one rank with = cannot be told apart from its first. "
            "Undecided: less than so many\npercent could not be told from nothing here.",
            highlight=False,
        )
    for name, lines, failed in _by_paths(frame):
        console.print(f"\n[bold]{name}: by path[/bold]\n{escape(PATHS_NOTE)}", highlight=False)
        _print_table(lines, path_summary.EXPENDABLE, console)
        for line in failed:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_table(lines: pd.DataFrame, expendable: Sequence[str], console: Console) -> None:
    """The columns that fit, numbers and words as they are."""
    lines = _fitted(lines, expendable, console.width)
    table = Table(box=None, header_style="bold")
    for name in lines.columns:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
    for line in lines.itertuples(index=False):
        table.add_row(*map(escape, line))
    console.print(table)


def _fitted(lines: pd.DataFrame, expendable: Sequence[str], width: int) -> pd.DataFrame:
    """The columns that fit: a narrow console loses whole columns, never digits."""
    widths = {
        name: max(len(str(name)), *lines[name].str.len()) + COLUMN_GAP for name in lines.columns
    }
    kept = list(lines.columns)
    for name in expendable:
        if sum(widths[each] for each in kept) <= width:
            break
        kept.remove(name)
    return lines[kept]


def report(ledger: Ledger) -> str:
    """Where a run's time went, and whether the suite kept out of its own way."""
    logs = [log for log in ledger.visits.values() if log.rounds]
    if not logs:
        return "No latency was measured."
    span_s = sum(_span_s(own) for own in _by_worker(logs).values())
    timed_s = sum(log.timed_s for log in logs)
    rounds = [round_ for log in logs for round_ in log.rounds]
    parent_s = sum(round_.parent_cpu_s or 0.0 for round_ in rounds)
    startup_s = sum(each.startup_s for each in ledger.environments)
    return (
        f"Measured {_several(len(rounds), 'round')} in {_several(len(logs), 'visit')} of "
        f"{_several(len(_by_worker(logs)), 'worker')}: "
        f"{minutes(span_s)} from their first to their last rounds, {100 * timed_s / span_s:.0f} % "
        f"of it inside timed forwards.\n"
        f"Start-up apart: {minutes(startup_s)} for {_several(len(ledger.environments), 'worker')}, "
        f"some side by side. The run itself took {100 * parent_s / timed_s:.2f} % CPU "
        f"during rounds.\n"
        f"{_disturbance(ledger, rounds)}"
    )


def _by_worker(logs: Iterable[VisitLog]) -> dict[str, list[VisitLog]]:
    workers: dict[str, list[VisitLog]] = {}
    for log in logs:
        workers.setdefault(log.block.worker, []).append(log)
    return workers


def _span_s(logs: Sequence[VisitLog]) -> float:
    """From a worker's first round to its last, building the arms between visits included."""
    return max(log.rounds[-1].ended_s for log in logs) - min(
        log.rounds[0].started_s for log in logs
    )


def _disturbance(ledger: Ledger, rounds: Sequence[Round]) -> str:
    """What else went on, and whether it was enough to call the run disturbed."""
    machine = ledger.environments[0].machine
    cpus = machine.cpus  # what stolen time and load are of
    wall_s = sum(round_.ended_s - round_.started_s for round_ in rounds)
    broken = sum(ledger.is_broken(log) for log in ledger.visits.values() if log.rounds)
    stolen = sum(round_.steal_s or 0.0 for round_ in rounds) / (wall_s * cpus)
    switches = sum(round_.involuntary_switches or 0 for round_ in rounds) / len(rounds)
    loads = [round_.load_1m for round_ in rounds if round_.load_1m is not None]
    load = statistics.median(loads) if loads else 0.0
    seen = (
        f"{100 * stolen:.1f} % of CPU time stolen, {switches:.1f} involuntary switches a round, "
        f"load {load:.1f} on {cpus} CPUs"
    )
    if broken:
        seen += f", {_several(broken, 'visit')} in a breakdown set aside"
    if not broken and stolen < DISTURBED_STEAL and load < machine.available_cpus + 1:
        return f"Disturbance: {seen}."
    return (
        f"This run was disturbed: {seen}. Overheads stay paired, but intervals are wider and "
        "milliseconds larger than on a quiet machine."
    )


def _by_paths(frame: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame, list[str]]]:
    """Of all that was run by several paths its name, its table, and which of them failed."""
    if frame.empty:
        return
    for _, rows in frame.groupby(work_of(frame), sort=False):
        lines = by_path(rows)
        if not lines.empty:
            yield setting_line(rows, with_path=False), lines, failed_paths(rows)


def _settings(frame: pd.DataFrame) -> Iterable[tuple[object, pd.DataFrame]]:
    return frame.groupby("setting", sort=False) if len(frame) else ()


def _line(row: pd.Series, base: pd.Series | None) -> dict[str, str]:
    is_trunk = row["placement"] == "none"
    measured = pd.notna(row["overhead_pct"])
    return {
        "rank": row["rank"] or "",
        "variant": "plain trunk" if is_trunk else str(row["se"]),
        "overhead %": _overhead(row) if measured else _unmeasured(row, is_trunk),
        "95 % interval": _interval(row) if measured else "",
        "verdict": _verdict(row) if measured else "",
        "procs": _number(row["processes"], 1, 0),
        "p50 ms": _number(row["p50_s"], 1e3, 2),
        "p95 ms": _number(row["p95_s"], 1e3, 2),
        "p99 ms": _number(row["p99_s"], 1e3, 2),
        "images/s": _number(row["throughput_per_s"], 1, 1),
        "params M": _number(row["params"], 1e-6, 2),
        "GMACs": _number(row["macs"], 1e-9, 4),
        "ops": _number(row["operators"], 1, 0),
        "bytes %": _more(row, base, "ideal_bytes"),
        "peak MiB": _number(row["live_peak_bytes"], 1 / MIB, 1),
        "RSS MiB": _number(row["resident_growth_bytes"], 1 / MIB, 0),
    }


def _overhead(row: pd.Series) -> str:
    """With a mark where a breakdown spoilt it."""
    return f"{row['overhead_pct']:+.1f}" + (BREAKDOWN_MARK if row["disturbed"] else "")


def _unmeasured(row: pd.Series, is_trunk: bool) -> str:
    if is_trunk and row["status"] == "ok":
        return ""
    return str(row["status"])


def _interval(row: pd.Series) -> str:
    if pd.isna(row["overhead_low_pct"]):
        return "one process"
    return f"[{row['overhead_low_pct']:+.1f}, {row['overhead_high_pct']:+.1f}]"


def _verdict(row: pd.Series) -> str:
    """With what could have been seen, where nothing was."""
    if row["verdict"] != "undecided" or pd.isna(row["detectable_pct"]):
        return str(row["verdict"])
    return f"undecided (<{row['detectable_pct']:.1f})"


def _number(value: object, factor: float, digits: int) -> str:
    return _UNKNOWN if pd.isna(value) else f"{float(value) * factor:.{digits}f}"  # type: ignore[call-overload,arg-type]


def _more(row: pd.Series, base: pd.Series | None, column: str) -> str:
    """By how many percent more than the trunk."""
    if base is None or pd.isna(row[column]) or pd.isna(base[column]):
        return _UNKNOWN
    return f"{100 * (row[column] / base[column] - 1):+.1f}"


def _alignment(columns: Iterable[str]) -> tuple[str, ...]:
    return tuple("left" if name in _WORDS else "right" for name in columns)


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
