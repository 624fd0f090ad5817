"""What docs/paths.md shows of exports: how far the files are off the models in them."""

from __future__ import annotations

import pandas as pd

from bench.documents.markdown import table
from bench.path_matrix import TRUNK


def markdown(frame: pd.DataFrame) -> str:
    """A line per architecture and part, a column per placement, below a line on how it was made.

    Args:
        frame: rows of ``differences.csv``, as `bench.measure.onnx_files` writes them.
    """
    frame = frame.assign(placement=frame["placement"].replace("none", TRUNK))
    lines = [
        {"architecture": architecture, "part": part, **_cells(rows)}
        for (architecture, part), rows in frame.groupby(["architecture", "part"], sort=False)
    ]
    return f"{_caption(frame)}\n\n{table(pd.DataFrame(lines).fillna('–'))}\n"


def _cells(rows: pd.DataFrame) -> dict[str, str]:
    """The difference of each placement, and its limit."""
    return {
        str(row["placement"]): f"{row['difference']:.1e} of {row['limit']:.0e}"
        for _, row in rows.iterrows()
    }


def _caption(frame: pd.DataFrame) -> str:
    *most, last = str(_only(frame, "batches")).split("+")
    batches = f"{', '.join(most)} and {last}" if most else last
    return (
        f"By `nox -s exports`, with torch {_only(frame, 'torch')} and onnxruntime "
        f"{_only(frame, 'onnxruntime')} on the CPU: {len(frame)} files, as `python -m se_models "
        "export` makes them of random weights, each run by onnxruntime and compared with eager "
        f"PyTorch for {batches} random images of {_only(frame, 'size')} px, or for what the model "
        "makes of these before the stage. The largest max|a - b| / max|b| of these, and what is "
        "allowed:"
    )


def _only(frame: pd.DataFrame, column: str) -> object:
    """What all rows share.

    Raises:
        ValueError: if they do not.
    """
    values = frame[column].drop_duplicates()
    if len(values) != 1:
        raise ValueError(f"{column} must be one for all rows, got {', '.join(map(str, values))}")
    return values.iloc[0]
