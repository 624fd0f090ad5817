"""What docs/fused.md says of the kernels' first use on a machine, and of every later one."""

from __future__ import annotations

import pandas as pd


def markdown(frame: pd.DataFrame) -> str:
    """A paragraph.

    Args:
        frame: the row of ``first_use.csv``, as `bench.measure.first_use` writes it.

    Raises:
        ValueError: if it is not one row.
    """
    if len(frame) != 1:
        raise ValueError(f"first_use.csv must have one row, got {len(frame)}")
    row = frame.iloc[0]
    return (
        f"On {row['machine']}, with torch {row['torch']}, the first process builds the kernels, in "
        f"{row['build_s']:.0f} s from its start to its end. Every later one takes "
        f"{_difference(row, 'later')} s longer than one that imports `se_models` and has a model, "
        f"which takes {row['model_s']:.2f} s; a second one of these differs by "
        f"{_difference(row, 'control')} s. By `nox -s first_use`, {row['rounds']} rounds of three "
        "processes.\n"
    )


def _difference(row: pd.Series, name: str) -> str:
    estimate, low, high = (row[f"{name}{end}_s"] for end in ("", "_low", "_high"))
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
