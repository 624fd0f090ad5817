"""Tables of cells that are text already."""

from __future__ import annotations

import pandas as pd


def table(lines: pd.DataFrame) -> str:
    """Names on the left of the first column, figures on the right of all others."""
    text = ["left"] + ["right"] * (len(lines.columns) - 1)
    return str(lines.to_markdown(index=False, disable_numparse=True, colalign=text))
