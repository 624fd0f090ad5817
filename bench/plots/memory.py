"""What SE takes in memory: each variant's peaks, as MiB over the trunk's."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.plots import parts, style
from bench.plots import rows as of

LIVE, RESIDENT, DEVICE = "live-byte peak", "resident growth", "device peak"

_COLUMNS = {
    LIVE: "live_peak_bytes",
    RESIDENT: "resident_growth_bytes",
    DEVICE: "device_peak_bytes",
}
_MIB = 2**20


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per quantity and variant, MiB; on CUDA the device's peak replaces resident growth."""
    on_device = (rows["device"] == "cuda").any()
    both = [_quantity(rows, name) for name in (LIVE, DEVICE if on_device else RESIDENT)]
    known = [part for part in both if part["extra_mib"].notna().any()]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame()


def _quantity(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    shown, plain = of.variants(rows), of.number(of.trunk(rows), _COLUMNS[name])
    peak = of.number(shown, _COLUMNS[name]) / _MIB
    trunk = plain.iloc[0] / _MIB if len(plain) else float("nan")
    return pd.DataFrame(
        {
            "quantity": name,
            "se": shown["se"].astype(str),
            "placement": shown["placement"].astype(str),
            "trunk_mib": trunk,
            "peak_mib": peak,
            "extra_mib": peak - trunk,
            "gap": of.gap(shown, peak),
        }
    )


def title(data: pd.DataFrame) -> str:
    """What SE adds by count; what was measured once has no interval, and gets no claim."""
    part = data[data["quantity"] == data["quantity"].iloc[0]]
    first = part.iloc[0]
    whole = f"the trunk's {first['quantity']} of {first['trunk_mib']:.1f} MiB"
    if first["quantity"] != LIVE:
        return f"Memory over {whole}, one measurement each"
    least, most = (style.decimal(part["extra_mib"].agg(end), 1) for end in ("min", "max"))
    return f"SE adds {most if least == most else f'{least} to {most}'} MiB to {whole}"


@style.theme()
def draw(data: pd.DataFrame, subtitle: str) -> Figure:
    quantities = [part for _, part in data.groupby("quantity", sort=False)]
    names = list(quantities[0]["se"])
    figure = style.figure(
        title(data), subtitle,
        width=3 + 2.5 * len(quantities), height=1 + 0.19 * len(names),
    )  # fmt: skip
    panels = list(figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0])
    parts.row_axis(panels, names)
    for axes, part in zip(panels, quantities, strict=True):
        placed = part.assign(place=range(len(part)), trunk=0.0)
        parts.points(axes, placed, "extra_mib", "place", ("trunk", "extra_mib"), along="x")
        parts.row_gaps(axes, part["gap"])
        axes.axvline(0, color=style.MUTED, linewidth=0.8)
        first = part.iloc[0]
        # A process grows by whole pages here and there: variants differ by chance too.
        doubt = " (±1 MiB)" if first["quantity"] == RESIDENT else ""
        head = f"{first['quantity']}{doubt}; trunk: {first['trunk_mib']:.1f} MiB"
        axes.set_title(head, loc="left", size=9)
        axes.set_xlabel("over the trunk (MiB)")
    return figure
