"""Path against placement as text: what SE costs there, and what the whole takes over eager."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from bench.table import is_disturbed
from bench.trial import EXECUTORS, TRANSFORMS, Path
from se_models.config import PLACEMENTS, SEConfig

REDUCTION = 16
CONTROL, TRUNK = "control", "plain trunk"
_EAGER = Path().label
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
        control = _cell(measured.iloc[0], "noise") if len(measured) else _UNKNOWN
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
        elif own["path"].iloc[0] == _EAGER:
            cell = "0"
        else:
            cell = _cell(trunk.iloc[0], "vs_eager")
        return {TRUNK: cell, **_placements(own, "vs_eager")}

    return _lines(rows, line)


def latencies(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per path: the time of the trunk and of each placement, in ms.

    Args:
        rows: as for `over_trunk`.
    """

    def line(own: pd.DataFrame) -> dict[str, str]:
        trunk = own[own["placement"] == "none"]
        return {TRUNK: _milliseconds(trunk), **_each(own, _milliseconds)}

    return _lines(rows, line)


def _lines(rows: pd.DataFrame, line: Callable[[pd.DataFrame], dict[str, str]]) -> pd.DataFrame:
    paths: Iterable[str] = sorted(rows["path"].unique(), key=path_order)
    return pd.DataFrame([{"path": path, **line(rows[rows["path"] == path])} for path in paths])


def _placements(rows: pd.DataFrame, quantity: str) -> dict[str, str]:
    """A percentage for every placement."""
    return _each(rows, lambda found: _cell(found.iloc[0], quantity) if len(found) else _UNKNOWN)


def _each(rows: pd.DataFrame, cell: Callable[[pd.DataFrame], str]) -> dict[str, str]:
    """A cell for every placement; of several rows that of SE in all blocks, as published."""
    return {
        placement: cell(rows[rows["se"] == SEConfig(placement, REDUCTION).label])
        for placement in PLACEMENTS
        if placement != "none"
    }


def _milliseconds(rows: pd.DataFrame) -> str:
    """The latency of the only row; its status where there is none."""
    if rows.empty:
        return _UNKNOWN
    seconds = rows.iloc[0]["latency_s"]
    return str(rows.iloc[0]["status"]) if pd.isna(seconds) else f"{seconds * 1e3:.1f}"


def _cell(row: pd.Series, quantity: str) -> str:
    """A percentage with its interval; the status where there is none."""
    value, low, high = (row[f"{quantity}{end}_pct"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return str(row["status"])
    mark = " (!)" if is_disturbed(row) else ""
    if pd.isna(low):
        return f"{value:+.1f}{mark}"
    return f"{value:+.1f}{mark} [{low:+.1f}, {high:+.1f}]"
