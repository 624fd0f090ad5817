"""What a person reads: the console's and the Markdown's view of the table, and a run's report."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.ledger import Ledger

MIB = 2**20
# What fits on 100 columns; the Markdown table has all.
CONSOLE_COLUMNS = (
    "rank", "variant", "overhead %", "95 % interval", "p50 ms", "p95 ms", "p99 ms", "images/s",
    "params M", "RSS MiB",
)  # fmt: skip
PLAIN_WIDTH = 120
_UNKNOWN = "–"


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
    off = blocks[(blocks["noise_low_pct"] > 0) | (blocks["noise_high_pct"] < 0)]
    line = (
        f"Control arm (a second plain trunk): {blocks['noise_pct'].min():+.1f} to "
        f"{blocks['noise_pct'].max():+.1f} % over {len(blocks)} "
        f"block{'s' if len(blocks) > 1 else ''}, 95 % intervals within "
        f"[{low:+.1f}, {high:+.1f}] %; single pairs scatter by "
        f"{blocks['noise_sd_pct'].median():.1f} % (sd)."
    )
    if len(off):
        line += (
            f" In {len(off)} of {len(blocks)} the interval does not cover 0: differences "
            f"below {max(abs(low), abs(high)):.1f} % mean nothing here."
        )
    return line


def setting_line(rows: pd.DataFrame) -> str:
    """The setting that these rows share, in words."""
    row = rows.iloc[0]
    path = f"{row['executor']}" + ("" if row["transform"] == "none" else f", {row['transform']}")
    return (
        f"{row['architecture']} on {row['machine']} ({row['device']}): batch {row['batch']}, "
        f"{row['size']} px, {row['dtype']}, {row['layout']}, "
        f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}, {path}"
    )


def markdown(frame: pd.DataFrame) -> str:
    """The headline table of every setting."""
    parts = []
    for _, rows in _settings(frame):
        table = headline(rows).to_markdown(
            index=False, disable_numparse=True, colalign=_alignment(headline(rows).columns)
        )
        parts.append(f"**{setting_line(rows)}**\n\n{noise_line(rows)}\n\n{table}\n")
    return "\n".join(parts)


def print_summary(frame: pd.DataFrame, console: Console) -> None:
    """The headline table of every setting, on a console."""
    for _, rows in _settings(frame):
        console.print(f"\n[bold]{setting_line(rows)}[/bold]", highlight=False)
        console.print(noise_line(rows), highlight=False)
        lines = headline(rows)[list(CONSOLE_COLUMNS)]
        table = Table(box=None, header_style="bold")
        for name in lines.columns:
            table.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
        for line in lines.itertuples(index=False):
            table.add_row(*line)
        console.print(table)
    if not frame.empty and frame["rank"].notna().any():
        console.print(
            "Sorted by overhead: time over the plain trunk's in the same rounds, with its 95 % "
            "interval.\nVariants of one rank with = cannot be told apart from its first.",
            highlight=False,
        )


def report(ledger: Ledger) -> str:
    """Where a run's time went, and whether the suite kept out of its own way."""
    logs = [log for log in ledger.visits.values() if log.rounds]
    measuring_s = sum(log.measuring_s for log in logs)
    if not logs or not measuring_s:
        return "No latency was measured."
    timed_s = sum(log.timed_s for log in logs)
    rounds = [round_ for log in logs for round_ in log.rounds]
    parent_s = sum(round_.parent_cpu_s or 0.0 for round_ in rounds)
    startup_s = sum(each.startup_s for each in ledger.environments)
    prepare_s = sum(log.block.prepare_s for log in logs)
    return (
        f"Measured {len(rounds)} rounds in {len(logs)} visits: "
        f"{minutes(measuring_s)} from first to last round, {100 * timed_s / measuring_s:.0f} % "
        f"of it inside timed forwards.\nApart from that: {minutes(prepare_s)} building and "
        f"checking arms, {minutes(startup_s)} starting {len(ledger.environments)} workers "
        f"(some side by side). The run itself took "
        f"{100 * parent_s / measuring_s:.2f} % CPU during rounds."
    )


def _settings(frame: pd.DataFrame) -> Iterable[tuple[object, pd.DataFrame]]:
    return frame.groupby("setting", sort=False) if len(frame) else ()


def _line(row: pd.Series, base: pd.Series | None) -> dict[str, str]:
    is_trunk = row["placement"] == "none"
    measured = pd.notna(row["overhead_pct"])
    return {
        "rank": row["rank"] or "",
        "variant": "plain trunk" if is_trunk else str(row["se"]),
        "overhead %": _overhead(row) if measured and not is_trunk else _unmeasured(row, is_trunk),
        "95 % interval": _interval(row) if measured and not is_trunk else "",
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
    return f"{row['overhead_pct']:+.1f}"


def _unmeasured(row: pd.Series, is_trunk: bool) -> str:
    if is_trunk and row["status"] == "ok":
        return ""
    return _UNKNOWN if row["status"] == "ok" else str(row["status"])


def _interval(row: pd.Series) -> str:
    return f"[{row['overhead_low_pct']:+.1f}, {row['overhead_high_pct']:+.1f}]"


def _number(value: object, factor: float, digits: int) -> str:
    return _UNKNOWN if pd.isna(value) else f"{float(value) * factor:.{digits}f}"  # type: ignore[call-overload,arg-type]


def _more(row: pd.Series, base: pd.Series | None, column: str) -> str:
    """By how many percent more than the trunk."""
    if base is None or pd.isna(row[column]) or pd.isna(base[column]):
        return _UNKNOWN
    return f"{100 * (row[column] / base[column] - 1):+.1f}"


def _alignment(columns: Iterable[str]) -> tuple[str, ...]:
    return tuple("left" if name == "variant" else "right" for name in columns)


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
