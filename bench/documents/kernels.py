"""What the fused kernels reach of the memory's bandwidth, and where SE's time goes in them."""

from __future__ import annotations

import pandas as pd

from bench.documents.markdown import table

# Names of `bench.measure.bandwidth`, which only torch's side may import; a test compares them.
CONTROL, TRUNK = "add_", "plain trunk"
SQUEEZE, EXCITE, PLAIN_TAIL, GATED_TAIL = "squeeze", "excite", "tail_", "tail_, gate"
EAGER = "SE, add, ReLU in eager"
_SETTING = ["architecture", "batch", "layout"]


def markdown(frame: pd.DataFrame) -> str:
    """What each kernel reaches, then what published SE takes of a fused forward.

    Args:
        frame: rows of ``kernels.csv``, as `bench.measure.bandwidth` writes them.
    """
    maps = frame[frame["kernel"] != TRUNK]
    threads = frame["threads"].iloc[0]
    sections = [
        f"Over the maps that all blocks of a network put out, with {threads} threads: GB/s of what "
        f"must move, and in brackets the share of what torch's `{CONTROL}` reaches on the same "
        "maps, in %.",
        _reached(maps),
        "SE as published (`standard`, r = 16) in every block, in ms a forward, warm: mean, both "
        "layers, and what the gate adds to the tail. The floor is what reading every map once more "
        f"takes at the rate of `{CONTROL}`. Shares are of the fused plain network's forward, in %.",
        table(_where_it_goes(frame)),
    ]
    return "\n\n".join(sections) + "\n"


def rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Bytes per second that each kernel reaches over all maps of a network.

    Args:
        frame: as for `markdown`.

    Returns:
        A row per kernel, and a column per architecture, batch and layout.
    """
    maps = frame[frame["kernel"] != TRUNK]
    weighed = maps.assign(
        moved_bytes=maps["moved_bytes"] * maps["blocks"], seconds=maps["seconds"] * maps["blocks"]
    )
    total = weighed.groupby([*_SETTING, "kernel"], sort=False)[["moved_bytes", "seconds"]].sum()
    return (total["moved_bytes"] / total["seconds"]).unstack(_SETTING)


def _reached(maps: pd.DataFrame) -> str:
    rate = rates(maps) / 1e9
    share = 100 * rate / rate.loc[CONTROL]
    order = maps["kernel"].drop_duplicates()
    lines = pd.DataFrame(
        [
            {
                "kernel": f"`{kernel}`",
                **{
                    _name(*setting): f"{rate.loc[kernel, setting]:.1f} "
                    f"({share.loc[kernel, setting]:.0f})"
                    for setting in rate.columns
                },
            }
            for kernel in order
        ]
    )
    return table(lines)


def _where_it_goes(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"network": _name(*setting), **_parts(rows)}
            for setting, rows in frame.groupby(_SETTING, sort=False)
        ]
    )


def _parts(rows: pd.DataFrame) -> dict[str, str]:
    """Of one network, batch and layout."""
    trunk_s = float(rows.loc[rows["kernel"] == TRUNK, "seconds"].iloc[0])

    def spent_s(kernel: str) -> float:
        own = rows[rows["kernel"] == kernel]
        return float((own["seconds"] * own["blocks"]).sum())

    gate_s = spent_s(GATED_TAIL) - spent_s(PLAIN_TAIL)
    parts_s = {"squeeze": spent_s(SQUEEZE), "excite": spent_s(EXCITE), "gate": gate_s}
    # add_ moves three bytes for each that a reading moves.
    floor_s = spent_s(CONTROL) / 3
    more_s = sum(parts_s.values())
    return {
        **{name: _ms(value) for name, value in parts_s.items()},
        "all": _with_share(more_s, trunk_s),
        "floor": _with_share(floor_s, trunk_s),
        "in eager": _with_share(spent_s(EAGER) - spent_s(PLAIN_TAIL), trunk_s),
        "plain network": _ms(trunk_s),
    }


def _with_share(seconds: float, of_s: float) -> str:
    return f"{_ms(seconds)} ({100 * seconds / of_s:.1f})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"


def _name(architecture: object, batch: object, layout: object) -> str:
    return f"{architecture}, batch {batch}, {layout}"
