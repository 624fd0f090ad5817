"""One path's time over another's: of processes that never met, and so not paired."""

from __future__ import annotations

import pandas as pd

from bench.ledger import Ledger
from bench.path_matrix import by_placement, percentage
from bench.stats import Evidence, evidence, quotient
from bench.table import is_disturbed


def over_other_paths(ledger: Ledger, rows: pd.DataFrame, path: str) -> pd.DataFrame:
    """What the trunk and each placement take by ``path`` over what they take by each other path.

    A process says one thing, the median of its times; the interval is that of
    `bench.stats.quotient`.

    Args:
        ledger: of the run whose table holds ``rows``.
        rows: of one architecture and workload, by whatever paths.
        path: the label of one of them.

    Returns:
        Text: a line for each other path that has times, differences in percent with their 95 %
        intervals. Empty if there is none, or if ``path`` has no times.
    """
    measured = rows[rows["p50_s"].notna()]
    times = _times(ledger, measured)
    own = {row["se"]: row for _, row in measured[measured["path"] == path].iterrows()}
    others = rows[rows["path"].isin(set(measured["path"]) - {path})]
    if not own or others.empty:
        return pd.DataFrame()

    def cell(other: pd.Series) -> str | None:
        mine = own.get(other["se"])
        if other["trial"] not in times:
            return str(other["status"])
        if mine is None:
            return None
        ratio = quotient(times[mine["trial"]], times[other["trial"]]).interval()
        return percentage(
            ratio.scaled(100.0, -100.0), is_disturbed=is_disturbed(mine) or is_disturbed(other)
        )

    return by_placement(others, cell)


def _times(ledger: Ledger, measured: pd.DataFrame) -> dict[str, Evidence]:
    """What its processes say of the time of each trial, in s, by the trial's key."""
    asked = set(measured["trial"])
    visits = {trial.key: ledger.own_visits(trial) for trial in ledger.planned if trial.key in asked}
    said = {
        key: evidence([log.samples_s(arm) for log in logs]) for key, (arm, logs) in visits.items()
    }
    return {key: found for key, found in said.items() if found is not None}
