"""Names beside points, without overlap: each takes the nearest spot that is free.

Greedy, in the order given, from a fixed set of offsets around the point, so
the same figure always gets the same labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from bench.plots import style

_DISTANCES_PT = (7.0, 14.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0)
_DIRECTIONS = 16
_PAD = 4.0  # pixels
_POINT_COSTS = 0.5  # pixels squared of overlap that a point of distance is worth


@dataclass(frozen=True)
class Label:
    """A text for the point at ``x``, ``y``, in the units of the axes."""

    x: float
    y: float
    text: str


def obstacle(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> Bbox:
    """The pixels between two corners given in data, and a marker's width around them."""
    corners = axes.transData.transform([(x[0], y[0]), (x[1], y[1])])
    low, high = corners.min(axis=0) - _PAD, corners.max(axis=0) + _PAD
    return Bbox([low, high])


def place(axes: Axes, labels: Sequence[Label], taken: Sequence[Bbox]) -> list[Bbox]:
    """Write the labels where they hide neither each other nor what is ``taken``.

    To be called when all else is drawn and the limits of the axes stand.
    Returns the pixels that each label came to fill.
    """
    scale = axes.figure.dpi / 72  # pixels in a point
    filled: list[Bbox] = []
    for label in labels:
        note = axes.annotate(
            label.text, (label.x, label.y), (0, 0), textcoords="offset points", size=8,
            color=style.INK, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.6, "shrinkA": 0,
                        "shrinkB": 3},
        )  # fmt: skip
        note.set_in_layout(False)
        at = _pixel(axes, label)
        extent = Text.get_window_extent(note)
        box, offset = _best(at, (extent.width, extent.height), scale, [*taken, *filled], axes.bbox)
        note.set_position((offset[0] / scale, offset[1] / scale))
        _hide_short_leader(note, at, box, 8 * scale)
        filled.append(box)
    return filled


def bar(axes: Axes, x: float, low: float, high: float) -> Bbox:
    """The pixels of a point's interval."""
    return obstacle(axes, (x, x), (low, high))


def stairs(axes: Axes, line: Line2D) -> list[Bbox]:
    """The pixels of a line drawn with ``steps-post``: right, then up or down, to each point."""
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(np.asarray(line.get_xydata(), dtype=float)):
        boxes += [obstacle(axes, (x0, x1), (y0, y0)), obstacle(axes, (x1, x1), (y0, y1))]
    return boxes


def _best(
    at: tuple[float, float],
    size: tuple[float, float],
    scale: float,
    taken: Sequence[Bbox],
    inside: Bbox,
) -> tuple[Bbox, tuple[float, float]]:
    """The cheapest spot: pixels hidden or out of the axes, then distance."""
    found: list[tuple[float, Bbox, tuple[float, float]]] = []
    for distance in _DISTANCES_PT:
        for turn in range(_DIRECTIONS):
            angle = 2 * np.pi * turn / _DIRECTIONS
            dx, dy = np.cos(angle), np.sin(angle)
            # The side of the text that faces the point is ``distance`` away from it.
            left = distance * scale * dx + size[0] * (dx - 1) / 2
            bottom = distance * scale * dy + size[1] * (dy - 1) / 2
            box = Bbox.from_bounds(at[0] + left, at[1] + bottom, *size)
            out = size[0] * size[1] - _shared(box, inside)
            hidden = sum(_shared(box, other) for other in taken)
            cost = out + hidden + _POINT_COSTS * distance
            found.append((cost, box, (left, bottom)))
    _, box, offset = min(found, key=lambda spot: spot[0])
    return box, offset


def _pixel(axes: Axes, label: Label) -> tuple[float, float]:
    x, y = axes.transData.transform((label.x, label.y))
    return float(x), float(y)


def _shared(one: Bbox, other: Bbox) -> float:
    """The area that two boxes have in common."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))


def _hide_short_leader(note: Annotation, at: tuple[float, float], box: Bbox, least: float) -> None:
    dx = max(box.x0 - at[0], 0.0, at[0] - box.x1)
    dy = max(box.y0 - at[1], 0.0, at[1] - box.y1)
    if note.arrow_patch is not None and np.hypot(dx, dy) < least:
        note.arrow_patch.set_visible(False)
