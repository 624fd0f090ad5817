"""From the table to pictures: one figure per file, each made of ``data`` and ``draw``.

``data`` says what is plotted, from the rows of one setting, or of all settings
that differ in nothing but their path; an empty frame says that there is nothing
to show. ``draw`` says how, under a ``title`` that
says what of it. The digest of what is plotted and said finds a picture that
has fallen behind its numbers, where comparing pixels would find fonts.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.files import replacing
from bench.path_matrix import work_of
from bench.plots import explain, heatmap, memory, overhead, pareto, paths, style

DIGESTS = "digests.json"


@dataclass(frozen=True)
class Plot:
    """A figure: its name, what it plots of the rows of a setting, what it says of it, and how."""

    name: str
    data: Callable[[pd.DataFrame], pd.DataFrame]
    title: Callable[[pd.DataFrame], str]
    draw: Callable[[pd.DataFrame, str], Figure]


PLOTS: tuple[Plot, ...] = (
    Plot("overhead", overhead.data, overhead.title, overhead.draw),
    Plot("heatmap", heatmap.data, heatmap.title, heatmap.draw),
    Plot("pareto", pareto.data, pareto.title, pareto.draw),
    Plot("explain", explain.data, explain.title, explain.draw),
    Plot("memory", memory.data, memory.title, memory.draw),
)
# Of settings that differ in nothing but their path.
ACROSS_PATHS: tuple[Plot, ...] = (Plot("paths", paths.data, paths.title, paths.draw),)
NAMES = tuple(plot.name for plot in (*PLOTS, *ACROSS_PATHS))


@dataclass(frozen=True)
class _Sheet:
    """A figure of one setting, not drawn yet."""

    stem: str
    plot: Plot
    data: pd.DataFrame
    subtitle: str

    @property
    def digest(self) -> str:
        return digest(self.data, self.plot.title(self.data), self.subtitle)


def draw(frame: pd.DataFrame, folder: Path, names: Container[str] = NAMES) -> list[Path]:
    """Draw every figure of every setting that has something to show.

    Args:
        frame: a row per trial; settings are told apart by its ``setting``.
        folder: is made if missing. Files of the same name are overwritten, and
            figures of an earlier ``draw`` that are none of this one's removed.
        names: of the plots that are wanted.

    Returns:
        The files written: a PNG and an SVG per figure, then ``digests.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written, found = [], {}
    for sheet in _sheets(frame, names):
        written += style.save(sheet.plot.draw(sheet.data, sheet.subtitle), folder, sheet.stem)
        found[sheet.stem] = sheet.digest
    listing = folder / DIGESTS
    for stem in _listed(listing) - found.keys():
        for suffix in (".png", ".svg"):
            (folder / f"{stem}{suffix}").unlink(missing_ok=True)
    with replacing(listing) as draft:
        draft.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="ascii")
    return [*written, listing]


def _listed(listing: Path) -> set[str]:
    """The stems of the figures that a listing names."""
    return set(json.loads(listing.read_text(encoding="ascii"))) if listing.exists() else set()


def digests(frame: pd.DataFrame, names: Container[str] = NAMES) -> dict[str, str]:
    """The digest of every figure that ``draw`` would write, by its stem, without drawing."""
    return {sheet.stem: sheet.digest for sheet in sorted(_sheets(frame, names), key=_stem)}


def digest(data: pd.DataFrame, title: str, subtitle: str) -> str:
    """The SHA-256 of what a figure says above its axes and of what it plots.

    Title and subtitle as they stand, since a rule for titles may change, and a
    machine, without a number changing; then the data as CSV, at 6 significant
    digits.
    """
    table = data.map(_canonical).to_csv(index=False, lineterminator="\n")
    text = f"{title}\n{subtitle}\n{table}"
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> str:
    """A value as text that does not depend on the type that holds it; missing is empty."""
    if isinstance(value, (str, bool)):
        return str(value)
    if value is None or value is pd.NA:
        return ""
    if not isinstance(value, Real):
        return str(value)
    number = float(value)
    return "" if math.isnan(number) else f"{number + 0.0:.6g}"  # -0.0 is 0


def _sheets(frame: pd.DataFrame, names: Container[str]) -> Iterator[_Sheet]:
    if frame.empty:
        return
    across = [plot for plot in ACROSS_PATHS if plot.name in names]
    single = [plot for plot in PLOTS if plot.name in names]
    works = work_of(frame)
    for work, of_work in frame.groupby(works):
        suffix = f"-{_slug(str(work))}" if works.nunique() > 1 else ""
        yield from _of(across, of_work, suffix, style.subtitle(of_work, with_path=False))
        for path, rows in of_work.groupby("path"):
            if rows["status"].eq("unsupported").all():
                continue  # what could be counted of it says nothing of this machine
            by = "" if path == "eager" else f"-{_slug(str(path))}"
            yield from _of(single, rows, suffix + by, style.subtitle(rows))


def _of(chosen: Sequence[Plot], rows: pd.DataFrame, suffix: str, subtitle: str) -> Iterator[_Sheet]:
    for plot in chosen:
        data = plot.data(rows)
        if not data.empty:
            yield _Sheet(f"{plot.name}{suffix}", plot, data, subtitle)


def _stem(sheet: _Sheet) -> str:
    return sheet.stem


def _slug(key: str) -> str:
    """A key as part of a file name."""
    return re.sub(r"[^a-z0-9_.]+", "-", key.lower()).strip("-")
