"""New levels are found within an environment, and noise is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from bench.history.changes import change_points, changes
from bench.stats import Array

ERROR = 0.4


def series(
    values: Sequence[float] | Array, *, half_width: float | None = 1.0, moved_at: int | None = None
) -> pd.DataFrame:
    """One trial's overheads, a run each; from ``moved_at`` on another machine."""
    count = len(values)
    ends = np.full(count, np.nan) if half_width is None else np.full(count, half_width)
    return pd.DataFrame({
        "run": range(count), "trial": "resnet18/standard-r16", "quantity": "overhead",
        "unit": "%", "commit": [f"c{number}" for number in range(count)],
        "environment": [
            "a" if moved_at is None or number < moved_at else "b" for number in range(count)
        ],
        "value": values, "low": np.asarray(values) - ends, "high": np.asarray(values) + ends,
    })  # fmt: skip


def noise(seed: int, count: int = 24) -> Array:
    return np.random.default_rng(seed).normal(5.0, ERROR, count)


def test_a_new_level_is_found_where_it_begins() -> None:
    """With its levels; of percents the change is told in points."""
    values = noise(1)
    values[15:] += 3.0
    (change,) = changes(series(values))
    assert (change.run, change.commit) == (15, "c15")
    assert change.percent == pytest.approx(3.0, abs=0.5)
    assert change.before == pytest.approx(np.median(values[:15]))


def test_noise_is_seldom_a_change() -> None:
    """In a hundred histories without any, a few at most."""
    found = sum(bool(change_points(noise(seed), ERROR)) for seed in range(100))
    assert found <= 3


def test_most_changes_of_three_errors_are_found() -> None:
    """Within a run of where they are."""
    found = 0
    for seed in range(100):
        values = noise(seed)
        values[12:] += 3 * ERROR
        places = change_points(values, ERROR)
        found += len(places) == 1 and abs(places[0] - 12) <= 1
    assert found >= 85


def test_one_run_that_is_off_is_no_change() -> None:
    """A second one has to agree."""
    values = noise(2)
    values[-1] += 6.0
    assert changes(series(values)) == []


def test_another_machine_is_a_break_and_no_change() -> None:
    """However far the levels lie apart; a change on either side is found."""
    values = noise(3)
    values[12:] += 9.0
    assert changes(series(values, moved_at=12)) == []
    values[18:] += 3.0
    assert [change.run for change in changes(series(values, moved_at=12))] == [18]


def test_counts_change_by_any_difference() -> None:
    """They have no error, and one run is enough."""
    frame = series([16.0, 16.0, 17.0], half_width=None).assign(
        quantity="operators", unit="operators"
    )
    (change,) = changes(frame)
    assert (change.run, change.before, change.after) == (2, 16.0, 17.0)
    assert change.percent == pytest.approx(6.25)


def test_what_runs_differ_by_counts_beside_their_intervals() -> None:
    """Values that scatter by ten times what they tell are no row of changes."""
    assert changes(series(noise(4), half_width=0.02)) == []


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("half_width", [1.0, None])
def test_a_few_runs_have_no_change(count: int, half_width: float | None) -> None:
    """Two runs make a level, and a change has two levels; measured once or with an interval."""
    assert changes(series([1.0, 9.0, 9.0][:count], half_width=half_width)) == []


def test_what_is_measured_once_is_not_counted() -> None:
    """One process that grew by a page more, among others that all grew alike, is no change."""
    grown = series([65.0, 65.0, 65.0, 65.0, 66.0, 65.0, 65.0, 65.0], half_width=None)
    assert changes(grown.assign(quantity="resident-growth", unit="MiB")) == []


def test_absolute_times_are_not_judged() -> None:
    """However much they change: nobody knows what the machine did in between."""
    values = noise(5)
    values[12:] += 30.0
    assert len(changes(series(values))) == 1
    assert changes(series(values).assign(quantity="latency", unit="ms")) == []


def test_more_series_take_larger_changes() -> None:
    """Or chance would make one in some of them."""
    found = [sum(bool(change_points(noise(seed, 8), ERROR, each)) for seed in range(300))
             for each in (1, 30)]  # fmt: skip
    assert found[0] > 3 * found[1]
