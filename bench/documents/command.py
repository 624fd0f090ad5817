"""The generated parts of README and docs: ``python -m bench.readme [--check]``.

A document marks a part with ``<!-- begin NAME -->`` and ``<!-- end NAME -->``;
what stands between is made from the committed results and never typed. With
``--check`` nothing is written, and a part, a table or a plotted figure that no
longer follows from the records is an error. Plots are compared by a hash of
the data in them, since their pixels depend on fonts and versions.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from bench import plots, summary
from bench.files import replacing
from bench.ledger import Ledger
from bench.method import contention as method_contention
from bench.method import figure as coverage_figure
from bench.method import pictures, proof_figure, recording
from bench.method import proof_report as method_proof
from bench.method import report as method_report
from bench.method.arguments import LENGTHS_S
from bench.method.proof import proof
from bench.plots import claims
from bench.record import read
from bench.run.run_file import RECORDS
from bench.table import trials_frame, write_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path("results/cpu")
COVERAGE = Path("results/method/coverage.csv")
CONTENTION = Path("results/method/contention.csv")
PROOF = Path("results/method/proof.csv")
# Each with what its parts are made from.
DOCUMENTS = {
    Path("README.md"): f"{RESULTS / RECORDS} and {PROOF}",
    Path("docs/method.md"): f"{RESULTS / RECORDS} and {CONTENTION}",
    Path("docs/coverage.md"): f"{COVERAGE}",
    Path("docs/proof.md"): f"{PROOF}",
}
_PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", flags=re.DOTALL)


def parts(ledger: Ledger, frame: pd.DataFrame, root: Path) -> dict[str, Callable[[], str]]:
    """What each marked part of a document says, from the results below ``root``."""
    return {
        "headline": lambda: _headline(frame),
        "table": lambda: summary.markdown(frame),
        "noise": lambda: summary.noise_line(frame) + "\n",
        "environment": lambda: _environment(ledger),
        "run": lambda: f"```\n{summary.report(ledger)}\n```\n",
        "coverage": lambda: _experiment(root / COVERAGE, method_report.markdown, "coverage"),
        "contention": lambda: _experiment(
            root / CONTENTION, method_contention.markdown, "contention"
        ),
        "proof": lambda: _experiment(root / PROOF, method_proof.markdown, "method"),
        "proof-summary": lambda: _experiment(root / PROOF, method_proof.summary, "method"),
    }


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write the parts, or compare them; the exit code is 1 if anything does not match."""
    parser = argparse.ArgumentParser(prog="python -m bench.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    folder = root / RESULTS
    ledger = Ledger(read(folder / RECORDS))
    frame = trials_frame(ledger)
    stale = []
    if check:
        stale += _stale_results(frame, folder)
        stale += _stale_proof(root / PROOF)
        stale += _stale_pictures(root)
    if not check:
        write_table(frame, folder)
        plots.draw(frame, folder / "plots")
    for name, source in DOCUMENTS.items():
        path = root / name
        old = path.read_text(encoding="utf-8")
        new = fill(old, parts(ledger, frame, root))
        if check and new != old:
            stale.append(f"{name} does not follow from {source}")
        elif not check:
            with replacing(path) as draft:
                draft.write_text(new, encoding="utf-8")
    for line in stale:
        print(f"{line}: run `nox -s readme`", file=sys.stderr)
    return 1 if stale else 0


def fill(text: str, made: dict[str, Callable[[], str]]) -> str:
    """``text`` with every marked part made anew.

    Raises:
        ValueError: if a part has a name that nothing makes.
    """

    def replace(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in made:
            raise ValueError(f"part must be one of {', '.join(made)}, got {name!r}")
        return f"{begin}{made[name]()}{end}"

    return _PART.sub(replace, text)


def _stale_results(frame: pd.DataFrame, folder: Path) -> list[str]:
    stale = [
        f"{RESULTS / name} does not follow from the records"
        for name in _stale_tables(frame, folder)
    ]
    drawn = json.loads((folder / "plots" / "digests.json").read_text(encoding="utf-8"))
    for name, digest in plots.digests(frame).items():
        files = [folder / "plots" / f"{name}{suffix}" for suffix in (".png", ".svg")]
        if drawn.get(name) != digest or not all(file.exists() for file in files):
            stale.append(f"{RESULTS / 'plots' / name} does not show the records' data")
    return stale


def _stale_proof(table: Path) -> Iterator[str]:
    """The proof's table, where its recordings say something else."""
    recordings = recording.all_in(table.parent)
    if not recordings and not table.exists():
        return
    expected = io.StringIO(proof(recordings, LENGTHS_S).to_csv(index=False))
    try:
        pd.testing.assert_frame_equal(pd.read_csv(table), pd.read_csv(expected), rtol=1e-6)
    except (AssertionError, OSError):
        yield f"{PROOF} does not follow from its recordings: `python -m bench.method proof`, then"


def _stale_pictures(root: Path) -> Iterator[str]:
    """Pictures of experiments that do not show their tables."""
    for table, figure in ((COVERAGE, coverage_figure), (PROOF, proof_figure)):
        if (root / table).exists():
            frame = pd.read_csv(root / table)
            if pictures.is_stale((root / table).parent, figure.STEM, frame, figure.title(frame)):
                yield f"{table.with_suffix('.png')} does not show {table}: draw it anew, then"


def _stale_tables(frame: pd.DataFrame, folder: Path) -> Iterator[str]:
    """Tables that are not the frame's; numbers may differ in their last digits."""
    if (folder / "table.md").read_text(encoding="utf-8") != summary.markdown(frame):
        yield "table.md"
    as_csv = io.StringIO(frame.to_csv(index=False))
    as_parquet = io.BytesIO(frame.to_parquet(index=False))
    pairs = {
        "table.csv": (pd.read_csv(folder / "table.csv"), pd.read_csv(as_csv)),
        "table.parquet": (pd.read_parquet(folder / "table.parquet"), pd.read_parquet(as_parquet)),
    }
    for name, (found, expected) in pairs.items():
        try:
            pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
        except AssertionError:
            yield name


def _headline(frame: pd.DataFrame) -> str:
    """What SE as published costs, then what can be said of all ways of having it."""
    frame = frame[frame["path"] == "eager"]
    measured = frame[(frame["placement"] != "none") & frame["overhead_pct"].notna()]
    full = measured[(measured["stages"] == "1+2+3+4") & (measured["blocks"] == "all")]
    if full.empty:
        raise ValueError(f"{RESULTS / RECORDS} must hold the overhead of SE in every block")
    published = full[full["se"] == "standard-r16"]
    if published.empty:
        return f"{_range(full)}\n"
    trunk = frame[frame["placement"] == "none"].iloc[0]
    return f"{_published(published, trunk)} {_range(full)}\n"


def _published(rows: pd.DataFrame, trunk: pd.Series) -> str:
    """The arithmetic, which is counted; the time only as far as interval and noise carry it."""
    row = rows.iloc[0]
    arithmetic = (
        f"SE as published (`standard`, r = 16) adds {100 * (row['flops'] / trunk['flops'] - 1):.2f}"
        f" % arithmetic to a {row['architecture']}"
    )
    cost = _overhead(row)
    if claims.slower(rows).iloc[0]:
        return f"{arithmetic} and {cost} time."
    if pd.isna(row["overhead_low_pct"]):
        return f"{arithmetic}; its cost in time, {cost}, has no interval."
    if claims.judged(rows).empty:
        return f"{arithmetic}; its cost in time, {cost}, has no control to be held against."
    return (
        f"{arithmetic}; its cost in time, {cost}, cannot be told from what two equal models differ "
        f"by here, [{row['noise_low_pct']:.1f}, {row['noise_high_pct']:.1f}] %."
    )


def _range(full: pd.DataFrame) -> str:
    """From the cheapest to the dearest where they are apart, else how many cost anything."""
    found = claims.extremes(full)
    if found is None:
        tally = claims.tally(full)
        return f"Over all placements and ratios, {tally[0].lower()}{tally[1:]}."
    return (
        f"Over all placements and ratios the price runs from {_overhead(found.least)} "
        f"(`{found.least['se']}`) to {_overhead(found.most)} (`{found.most['se']}`)."
    )


def _overhead(row: pd.Series) -> str:
    estimate = f"{row['overhead_pct']:.1f} %"
    if pd.isna(row["overhead_low_pct"]):
        return estimate
    return f"{estimate} [{row['overhead_low_pct']:.1f}, {row['overhead_high_pct']:.1f}]"


def _experiment(table: Path, markdown: Callable[[pd.DataFrame], str], session: str) -> str:
    """What an experiment on the method found; a checkout may hold none yet."""
    if not table.exists():
        return f"Nothing is committed yet: make it with `nox -s {session}`.\n"
    return markdown(pd.read_csv(table))


def _environment(ledger: Ledger) -> str:
    environment = ledger.environments[0]
    machine, runtime = environment.machine, environment.runtime
    openmp = ", ".join(f"{key}={value}" for key, value in machine.openmp.items())
    return (
        f"{machine.cpu}, {machine.available_cpus} CPUs ({runtime.cpu_capability}), "
        f"{machine.memory_bytes / 2**30:.0f} GiB; torch {runtime.torch}, "
        f"Python {machine.python}; OpenMP settings: {openmp or 'none, so threads wait actively'}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
