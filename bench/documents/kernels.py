"""What the fused kernels reach, beside torch's own, and what SE adds to a forward by them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bench.documents.markdown import table
from se_models.config import PLACEMENTS

# Names of `bench.measure.bandwidth`, which only torch's side may import; a test compares them.
CONTROL, PRODUCT, TRUNK = "add_", "mm", "plain trunk"
PACKED = "_convolution_pointwise"
_NAMES = {PACKED: "1x1 convolution by oneDNN"}
_SETTING = ["architecture", "batch", "layout"]
_WORKLOAD = [*_SETTING, "size", "dtype", "threads", "machine"]
_COLUMNS = (
    *_WORKLOAD, "kernel", "map", "none", "standard", "moved_bytes", "flops", "seconds", "control",
    "control_bytes", "control_seconds",
)  # fmt: skip
_UNKNOWN = "–"


def markdown(frame: pd.DataFrame) -> str:
    """What each kernel reaches, then what SE adds to a fused forward.

    Args:
        frame: rows of ``kernels.csv``, as `bench.measure.bandwidth` writes them.

    Raises:
        ValueError: if it is of another form.
    """
    check(frame)
    first = frame.iloc[0]
    moving = frame[(frame["control"] == CONTROL) | (frame["kernel"] == CONTROL)]
    sections = [
        f"On {first['machine']}, with {first['threads']} threads, at {first['size']} px, in "
        f"{first['dtype']}. Each kernel is named with what it takes along, and counts as often as "
        "the twin calls it that does so most often. GB/s of what must move, and in brackets the "
        f"share of what torch's `{CONTROL}` reaches on the same maps, in %; its own line is of the "
        "maps that all blocks put out.",
        _lines(moving, _moved),
        "What multiplies matrices: GFLOP/s, GB/s, and in brackets how long torch's product of the "
        "same shapes takes, which takes nothing along, as a share of the kernel's time in %.",
        _lines(frame[frame["control"] == PRODUCT], _multiplied),
        "SE in every block, r = 16, in ms a forward, each call by itself and warm: the calls that "
        "the twin as published (`standard`) makes beyond the plain network's, those of the plain "
        "network's that it does not make, and what is left. The floor is what the bytes take that "
        f"are moved more, at the rate of `{CONTROL}`. Beside them what is left in the other "
        "placements. Shares are of the fused plain network's forward, in %.",
        table(_added(frame)),
    ]
    return "\n\n".join(sections) + "\n"


def check(frame: pd.DataFrame) -> None:
    """Refuse a table of another form.

    Raises:
        ValueError: naming what it lacks, and the command that writes it anew.
    """
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise ValueError(
            f"kernels.csv must have the columns {', '.join(_COLUMNS)}, lacks "
            f"{', '.join(missing)}: `nox -s bandwidth` writes it anew"
        )


def control_rate(frame: pd.DataFrame, workload: pd.Series) -> float | None:
    """Bytes per second that ``add_`` reaches over the maps that a network's blocks put out.

    Args:
        frame: as for `markdown`.
        workload: architecture, batch, layout, size, dtype, threads and machine.

    Returns:
        None where it was not measured for that workload, on that machine.

    Raises:
        ValueError: if the frame is of another form.
    """
    check(frame)
    maps = frame[frame["kernel"] == CONTROL]
    for name in _WORKLOAD:
        maps = maps[maps[name] == workload[name]]
    return None if maps.empty else _rate(maps["moved_bytes"], maps["seconds"], maps["none"])


def _lines(rows: pd.DataFrame, cell: Callable[[pd.DataFrame], str]) -> str:
    """A line per kernel, a column per network, batch and layout."""
    placements = [name for name in PLACEMENTS if name in rows.columns]
    rows = rows.assign(times=rows[placements].max(axis=1))
    settings = [name for name, _ in rows.groupby(_SETTING, sort=False)]
    lines = []
    for kernel, own in rows.groupby("kernel", sort=False):
        callers = [name for name in placements if own[name].any()]
        found = dict(list(own.groupby(_SETTING, sort=False)))
        lines.append(
            {
                "kernel": _NAMES.get(str(kernel), f"`{kernel}`"),
                "of": "all" if callers == placements else ", ".join(callers),
                **{
                    _name(*setting): cell(found[setting]) if setting in found else _UNKNOWN
                    for setting in settings
                },
            }
        )
    return table(pd.DataFrame(lines))


def _moved(rows: pd.DataFrame) -> str:
    rate = _rate(rows["moved_bytes"], rows["seconds"], rows["times"])
    of_control = rate
    if rows["control"].notna().all():
        of_control = _rate(rows["control_bytes"], rows["control_seconds"], rows["times"])
    return f"{rate / 1e9:.1f} ({100 * rate / of_control:.0f})"


def _multiplied(rows: pd.DataFrame) -> str:
    times = rows["times"]
    arithmetic = _rate(rows["flops"], rows["seconds"], times) / 1e9
    moved = _rate(rows["moved_bytes"], rows["seconds"], times) / 1e9
    share = _rate(rows["control_seconds"], rows["seconds"], times)
    return f"{arithmetic:.0f}, {moved:.1f} ({100 * share:.0f})"


def _rate(amount: pd.Series, seconds: pd.Series, times: pd.Series) -> float:
    """Of calls together, each made so many times."""
    return float((amount * times).sum() / (seconds * times).sum())


def _added(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"network": _name(*setting), **_costs(rows)}
            for setting, rows in frame.groupby(_SETTING, sort=False)
        ]
    )


def _costs(rows: pd.DataFrame) -> dict[str, str]:
    """Of one network, batch and layout."""
    trunk_s = float(rows.loc[rows["kernel"] == TRUNK, "seconds"].iloc[0])
    rate = control_rate(rows, rows.iloc[0])
    assert rate is not None  # it is measured beside the others
    calls = rows[rows["control"].notna()]

    def more(placement: str) -> pd.Series:
        """How many calls the twin makes more than the plain network's, of each kind."""
        return calls[placement] - calls["none"]

    def left_s(placement: str) -> float:
        return float((more(placement) * calls["seconds"]).sum())

    standard = more("standard")
    others = [name for name in PLACEMENTS[1:] if name in rows.columns and name != "standard"]
    return {
        "more calls": _ms(float((standard.clip(lower=0) * calls["seconds"]).sum())),
        "fewer calls": _ms(float((standard.clip(upper=0) * calls["seconds"]).sum())),
        "`standard`": _with_share(left_s("standard"), trunk_s),
        "floor": _with_share(float((standard * calls["moved_bytes"]).sum()) / rate, trunk_s),
        **{f"`{name}`": _with_share(left_s(name), trunk_s) for name in others},
        "plain network": _ms(trunk_s),
    }


def _with_share(seconds: float, of_s: float) -> str:
    return f"{_ms(seconds)} ({100 * seconds / of_s:.1f})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"


def _name(architecture: object, batch: object, layout: object) -> str:
    return f"{architecture}, batch {batch}, {layout}"
