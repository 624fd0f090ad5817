"""What SE costs by each way of executing a model: a line per path."""

from __future__ import annotations

import pandas as pd

from bench.path_matrix import (
    EAGER,
    EVERYWHERE,
    PUBLISHED,
    REDUCTION,
    overhead_cell,
    path_order,
)

PATHS_NOTE = (
    "Trunk: the plain trunk's time over eager's. SE: overhead over the plain trunk by the same "
    f"path, in %, at r = {REDUCTION}; = where others may be as cheap. Prepare: the first time, "
    "from the model to its first output, the median of the variants; of fused paths most of it is "
    "building kernels, once for a machine. Off: from float64, as max|a-b|/max|b|."
)
_PUBLISHED = EVERYWHERE[PUBLISHED]
_CHEAPEST = "cheapest"
# Those that a narrow console leaves out, first to last.
EXPENDABLE = ("off", "prepare s", f"{_CHEAPEST} %", _CHEAPEST)


def by_path(rows: pd.DataFrame) -> pd.DataFrame:
    """As text; empty unless there are several paths.

    Args:
        rows: of one architecture and workload, by whatever paths.
    """
    if rows["path"].nunique() < 2:
        return pd.DataFrame()
    paths = sorted(rows["path"].unique(), key=path_order)
    return pd.DataFrame([_line(path, rows[rows["path"] == path]) for path in paths])


def failed_paths(rows: pd.DataFrame) -> list[str]:
    """A line for every path of which nothing could be measured, with the reason.

    Args:
        rows: as for `by_path`.
    """
    lines = []
    for path, own in rows.groupby("path", sort=False):
        told = own[own["reason"].notna()]
        if own["p50_s"].isna().all() and len(told):
            lines.append(f"{path}: {told['status'].iloc[0]}, {told['reason'].iloc[0]}")
    return lines


def _line(path: str, rows: pd.DataFrame) -> dict[str, str]:
    trunk = rows[rows["placement"] == "none"]
    variants = rows[rows["se"].isin(EVERYWHERE.values())]
    measured = variants[variants["overhead_pct"].notna()].sort_values("overhead_pct")
    sound = measured[~measured["disturbed"].eq(True)]
    return {
        "path": path,
        "trunk": _over_eager(path, trunk),
        f"{_PUBLISHED} %": _overhead(measured[measured["se"] == _PUBLISHED]),
        _CHEAPEST: _status(rows) if measured.empty else _cheapest(sound),
        f"{_CHEAPEST} %": _overhead(sound),
        "prepare s": _shown(rows["prepare_s"].median(), "{:.1f}"),
        "off": _shown(rows["wrong_by"].max(), "{:.1e}"),
    }


def _over_eager(path: str, trunk: pd.DataFrame) -> str:
    if path == EAGER:
        return "1"
    if trunk.empty or pd.isna(trunk["vs_eager_pct"].iloc[0]):
        return ""
    row = trunk.iloc[0]
    low, high = (_ratio(row[f"vs_eager_{end}_pct"]) for end in ("low", "high"))
    interval = f" [{low}, {high}]" if low and high else ""
    return f"{_ratio(row['vs_eager_pct'])}{interval}"


def _ratio(pct: float) -> str:
    return "" if pd.isna(pct) else f"{1 + pct / 100:.3f}"


def _overhead(rows: pd.DataFrame) -> str:
    """Of the first row, with its interval if it has one, marked if it was disturbed."""
    return "" if rows.empty else overhead_cell(rows.iloc[0], "overhead")


def _cheapest(sound: pd.DataFrame) -> str:
    """The placement of least overhead; an equals sign where others may be as cheap.

    What was measured in a breakdown is not among these. What has no interval, of a single
    process, may be as cheap as anything.
    """
    if sound.empty:
        return ""
    least, others = sound.iloc[0], sound.iloc[1:]
    # A negation, for no comparison with a missing end holds.
    ties = (~(others["overhead_low_pct"] > least["overhead_high_pct"])).any()
    return f"{least['placement']}{'=' if ties else ''}"


def _status(rows: pd.DataFrame) -> str:
    """What became of a path of which no variant was measured: the trunk's status, if it failed."""
    failed = rows.loc[rows["status"] != "ok", "status"]
    return str(failed.iloc[0]) if len(failed) else ""


def _shown(value: float, form: str) -> str:
    return "" if pd.isna(value) else form.format(value)
