"""One look for every figure: colours, type, the title's place, and files that repeat.

Colours are Okabe and Ito's, told apart by all common kinds of colour vision
(jfly.uni-koeln.de/color); a placement has its own marker besides.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.files import replacing

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, FAINT = "#222222", "#666666", "#d9d9d9"


@dataclass(frozen=True)
class Mark:
    """How a placement looks wherever it is drawn."""

    colour: str
    marker: str
    size: float  # in points; what makes markers of different form look alike in size


_MARKS = {
    "standard": Mark("#0072B2", "o", 6.5),
    "pre": Mark("#E69F00", "s", 6),
    "post": Mark("#009E73", "^", 7.5),
    "identity": Mark("#CC79A7", "D", 6),
    "inner": Mark("#56B4E9", "v", 7.5),
    "prenorm": Mark("#D55E00", "P", 8),
}
PLACEMENTS = tuple(_MARKS)

_THEME: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same everywhere
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.8,
    "hatch.color": "#bdbdbd",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "svg.hashsalt": "bench.plots",  # ids from what is drawn, not from chance
}

_TITLE_PT, _SUBTITLE_PT = 13, 9
_LINE = 1.4  # the height of a line of text, in its own size


def mark(placement: str) -> Mark:
    """The look of a placement; one that is not known yet is grey."""
    return _MARKS.get(placement, Mark(MUTED, "X", 8))


@contextmanager
def theme() -> Iterator[None]:
    """The look, for as long as the context lasts; also a decorator."""
    with mpl.rc_context(_THEME):
        yield


def subtitle(rows: pd.DataFrame, *, with_path: bool = True) -> str:
    """What was measured and on which machine, from the rows of one setting, or of several paths."""
    row = rows.iloc[0]
    threads = f"{row['threads']} thread" + ("" if row["threads"] == 1 else "s")
    setting = (
        str(row["architecture"]),
        f"batch {row['batch']}",
        f"{row['size']} px",
        str(row["dtype"]),
        str(row["layout"]).replace("_", " "),
        f"{row['device']}, {threads}" + (", warm L2 cache" if row["device"] == "cuda" else ""),
        *([str(row["path"])] if with_path else []),
    )
    machines = sorted(set(rows["machine"].dropna().astype(str)))
    # Non-breaking, so that a line that must break does so behind a dot.
    together = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in setting)
    return "\N{NO-BREAK SPACE}· ".join(together) + "\n" + ", ".join(machines)


def decimal(value: float, places: int) -> str:
    """A number as a text shows it, with a true minus sign."""
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def figure(title: str, subtitle: str, *, width: float, height: float) -> Figure:
    """An empty figure below its title; ``width`` and ``height`` in inches, title not included."""
    title_lines = _wrap(title, width, 0.62 * _TITLE_PT)
    subtitle_lines = [
        line for part in subtitle.split("\n") for line in _wrap(part, width, 0.55 * _SUBTITLE_PT)
    ]
    title_in = len(title_lines) * _TITLE_PT * _LINE / 72
    header_in = title_in + (len(subtitle_lines) + 1) * _SUBTITLE_PT * _LINE / 72
    total = height + header_in
    made = Figure(figsize=(width, total))
    FigureCanvasAgg(made)
    made.set_layout_engine(
        ConstrainedLayoutEngine(rect=(0, 0, 1, height / total), w_pad=0.08, h_pad=0.06)
    )
    left, top = 0.1 / width, 1 - 0.08 / total
    texts = (
        (top, title_lines, _TITLE_PT, INK, "bold"),
        (top - title_in / total, subtitle_lines, _SUBTITLE_PT, MUTED, "normal"),
    )
    for y, lines, size, colour, weight in texts:
        text = made.text(left, y, "\n".join(lines), size=size, color=colour, weight=weight)
        text.set(va="top", linespacing=_LINE / 1.2)
        text.set_in_layout(False)
    return made


def _wrap(text: str, width: float, character: float) -> list[str]:
    """Lines that fit ``width`` inches, at so many points for a character."""
    return textwrap.wrap(text, int(72 * (width - 0.2) / character))


def save(drawn: Figure, folder: Path, stem: str) -> list[Path]:
    """Write a PNG and an SVG; the same figure gives the same bytes."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with theme():
        drawn.draw_without_rendering()
        drawn.set_layout_engine("none")  # it is laid out, and is not to be again for each file
        with replacing(png) as draft:
            drawn.savefig(draft, dpi=150)
        with replacing(svg) as draft:
            drawn.savefig(draft, metadata={"Date": None})
    return [png, svg]
