"""What every figure asks of its rows: which is the trunk, in what order, what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.plots.style import PLACEMENTS

ALL_STAGES = "1+2+3+4"
OVERHEADS = (
    "overhead_pct", "overhead_low_pct", "overhead_high_pct", "noise_low_pct", "noise_high_pct",
)  # fmt: skip


def number(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column as floats, whatever kind of number or null it holds; missing is NaN."""
    values = rows[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    return pd.Series(values, index=rows.index, dtype=float)


def overheads(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row's overhead, its interval, and its control arm's: what two equal models differ by.

    And the verdict, where the rows have one. What was measured in a breakdown is a number without
    either, since nothing can be said of it.
    The noise is that of the row's own block. One interval for all blocks would
    be the widest of them, and hide what a quieter block found.
    """
    known = pd.DataFrame({column: number(rows, column) for column in OVERHEADS})
    if "verdict" in rows:
        known = known.assign(verdict=rows["verdict"])
    if "disturbed" in rows:
        bounds = known.columns.intersection(["overhead_low_pct", "overhead_high_pct", "verdict"])
        known.loc[rows["disturbed"].eq(True), bounds] = None
    return known


def gap(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Why a value is missing: the trial's status, or empty where the value is there."""
    reason = rows["status"].astype(str).replace("ok", "not measured")
    return reason.where(values.isna(), "")


def trunk(rows: pd.DataFrame) -> pd.DataFrame:
    """The plain network: one row, or none."""
    return rows[rows["placement"] == "none"].head(1)


def variants(rows: pd.DataFrame) -> pd.DataFrame:
    """All but the trunk, whole grid first, by placement and ratio, however they came."""
    chosen = rows[rows["placement"] != "none"]
    order = pd.DataFrame(
        {
            "partial": ~in_grid(chosen),
            "placement": [placement_order(name) for name in chosen["placement"]],
            "reduction": number(chosen, "reduction"),
            "se": chosen["se"].astype(str),
        }
    )
    return chosen.loc[order.sort_values(list(order.columns)).index]


def in_grid(rows: pd.DataFrame) -> pd.Series:
    """Whether a row differs from the others in placement and ratio only: SE in every block."""
    return (
        everywhere(rows)
        & (number(rows, "min_hidden") == 1)
        & rows["bias"].astype("boolean").fillna(True).astype(bool)
    )


def everywhere(rows: pd.DataFrame) -> pd.Series:
    """Whether SE stands in every block of every stage."""
    return (rows["stages"].astype(str) == ALL_STAGES) & (rows["blocks"].astype(str) == "all")


def placement_order(placement: str) -> int:
    """The rank of a placement in every figure; one that is unknown comes last."""
    return PLACEMENTS.index(placement) if placement in PLACEMENTS else len(PLACEMENTS)


def over_trunk_pct(rows: pd.DataFrame, column: str) -> pd.Series:
    """By how much a count of the variants exceeds the trunk's, in percent of the trunk's."""
    plain = number(trunk(rows), column)
    base = plain.iloc[0] if len(plain) else np.nan
    return 100 * (number(variants(rows), column) - base) / base
