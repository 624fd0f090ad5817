"""Path against placement as text: what SE costs there, and what the whole takes over eager."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pandas as pd

from bench.stats import Interval
from bench.table import is_disturbed
from bench.trial import EXECUTORS, TRANSFORMS, Path
from se_models.config import PLACEMENTS, Placement, SEConfig

REDUCTION = 16
CONTROL, TRUNK = "control", "plain trunk"
PUBLISHED: Placement = "standard"
# By its label SE in every block, at the paper's ratio, is told from that of a few stages or of
# another least width.
EVERYWHERE: dict[Placement, str] = {
    name: SEConfig(name, REDUCTION).label for name in PLACEMENTS if name != "none"
}
EAGER = Path().label
# What `called_and_held` tells of a trunk and of SE as published, each column in its unit.
_TOLD = {
    "operators": ("operators", 1.0),
    "live MiB": ("live_peak_bytes", 2.0**-20),
    "resident MiB": ("resident_growth_bytes", 2.0**-20),
}
_UNKNOWN = "–"


def work_of(frame: pd.DataFrame) -> pd.Series:
    """What rows share that differ in nothing but variant and path: architecture and workload."""
    return frame["setting"].str.rpartition("@")[0]


def path_order(label: str) -> tuple[int, int]:
    """PyTorch as it comes is first, then come transforms, then other executors with theirs."""
    path = Path.named(label)
    return EXECUTORS.index(path.executor), TRANSFORMS.index(path.transform)


def over_trunk(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: the control arm, then each placement, over the plain trunk by that path.

    Args:
        rows: of one architecture and workload, by whatever paths; SE is shown
            everywhere in the network, at the paper's ratio.

    Returns:
        Text: overheads in percent with their 95 % intervals; where there is none, the status.
    """

    def line(own: pd.DataFrame) -> dict[str, str]:
        measured = own[own["noise_pct"].notna()]
        control = overhead_cell(measured.iloc[0], "noise") if len(measured) else _UNKNOWN
        return {CONTROL: control, **_placements(own, "overhead")}

    return _lines(rows, line)


def over_eager(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: the trunk, then each placement, over the plain trunk in eager PyTorch.

    Args:
        rows: as for `over_trunk`.
    """

    def line(own: pd.DataFrame) -> dict[str, str]:
        trunk = own[own["placement"] == "none"]
        if trunk.empty:
            cell = _UNKNOWN
        elif own["path"].iloc[0] == EAGER:
            cell = "0"
        else:
            cell = overhead_cell(trunk.iloc[0], "vs_eager")
        return {TRUNK: cell, **_placements(own, "vs_eager")}

    return _lines(rows, line)


def latencies(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: the time of the trunk and of each placement, in ms.

    Args:
        rows: as for `over_trunk`.
    """

    def cell(row: pd.Series) -> str:
        seconds = row["latency_s"]
        return str(row["status"]) if pd.isna(seconds) else f"{seconds * 1e3:.1f}"

    return by_placement(rows, cell)


def by_placement(rows: pd.DataFrame, cell: Callable[[pd.Series], str | None]) -> pd.DataFrame:
    """A line per path: a cell for the trunk, then for each placement; a dash where there is none.

    Args:
        rows: as for `over_trunk`.
        cell: of a row.
    """

    def shown(found: pd.DataFrame) -> str:
        return (None if found.empty else cell(found.iloc[0])) or _UNKNOWN

    def line(own: pd.DataFrame) -> dict[str, str]:
        return {TRUNK: shown(own[own["placement"] == "none"]), **_each(own, shown)}

    return _lines(rows, line)


def percentage(found: Interval, *, is_disturbed: bool) -> str:
    """With the ends of its interval, unless nothing bounds it, and marked if it is disturbed."""
    estimate = f"{found.estimate:+.1f}{' (!)' if is_disturbed else ''}"
    return f"{estimate} [{found.low:+.1f}, {found.high:+.1f}]" if found.is_bounded else estimate


def overhead_cell(row: pd.Series, quantity: str) -> str:
    """A percentage with its interval; the status where there is none.

    Args:
        row: of a table of trials.
        quantity: of which it has the estimate and both ends: ``overhead``, ``noise``, ``vs_eager``.
    """
    names = [f"{quantity}{end}_pct" for end in ("", "_low", "_high")]
    value, low, high = row[names].astype(float)  # of which those that are missing may be None
    if pd.isna(value):
        return str(row["status"])
    return percentage(Interval(value, low, high), is_disturbed=is_disturbed(row))


def called_and_held(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: operators, live-byte peak and resident growth, of the trunk and of SE.

    Args:
        rows: as for `over_trunk`; SE is ``standard``.

    Returns:
        Text: bytes in MiB; a dash where a path has no such number.
    """

    def line(own: pd.DataFrame) -> dict[str, str]:
        return {
            f"{told}, {name}": _scaled(network, column, factor)
            for told, (column, factor) in _TOLD.items()
            for name, network in _trunk_and_published(own).items()
        }

    return _lines(rows, line)


def prepared_and_off(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: what preparing the trunk and SE took, in s, and how far any output is off.

    Args:
        rows: as for `over_trunk`; SE is ``standard``, but the largest difference from
            float64, as max|a - b| / max|b|, is that of all rows.

    Returns:
        Text; a dash where a path has no such number.
    """

    def line(own: pd.DataFrame) -> dict[str, str]:
        prepared = {
            f"prepare s, {name}": _text(_first(network, "prepare_s"), ".2f")
            for name, network in _trunk_and_published(own).items()
        }
        return {**prepared, "off at most": _text(own["wrong_by"].max(), ".1e")}

    return _lines(rows, line)


def _lines(rows: pd.DataFrame, line: Callable[[pd.DataFrame], dict[str, str]]) -> pd.DataFrame:
    paths: Iterable[str] = sorted(rows["path"].unique(), key=path_order)
    return pd.DataFrame([{"path": path, **line(rows[rows["path"] == path])} for path in paths])


def _placements(rows: pd.DataFrame, quantity: str) -> dict[str, str]:
    """A percentage for every placement."""
    return _each(
        rows, lambda found: overhead_cell(found.iloc[0], quantity) if len(found) else _UNKNOWN
    )


def _each(rows: pd.DataFrame, cell: Callable[[pd.DataFrame], str]) -> dict[str, str]:
    """A cell for every placement; of several rows that of SE in all blocks, as published."""
    return {placement: cell(rows[rows["se"] == label]) for placement, label in EVERYWHERE.items()}


def _trunk_and_published(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The only row of each, if it is there."""
    return {
        TRUNK: rows[rows["placement"] == "none"],
        PUBLISHED: rows[rows["se"] == EVERYWHERE[PUBLISHED]],
    }


def _scaled(rows: pd.DataFrame, column: str, factor: float) -> str:
    """A number of the only row, whole."""
    return _text(factor * _first(rows, column), ".0f")


def _first(rows: pd.DataFrame, column: str) -> float:
    """A number of the only row; not a number where there is none."""
    value = None if rows.empty else rows.iloc[0][column]
    return math.nan if pd.isna(value) else float(value)


def _text(value: float, form: str) -> str:
    return _UNKNOWN if pd.isna(value) else format(value, form)
