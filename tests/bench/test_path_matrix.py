"""Path against placement as text: each cell is the number of its own row."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.path_matrix import (
    CONTROL,
    TRUNK,
    called_and_held,
    latencies,
    over_eager,
    over_trunk,
    path_order,
    prepared_and_off,
    work_of,
)
from bench.trial import EXECUTORS, TRANSFORMS, Path
from se_models.config import PLACEMENTS
from tests.bench.plots.test_paths import by_paths

VARIANTS = [name for name in PLACEMENTS if name != "none"]


def table() -> pd.DataFrame:
    frame = by_paths().assign(noise_pct=0.1, noise_low_pct=-0.2, noise_high_pct=0.4)
    variants = frame["placement"] != "none"
    for end in ("", "_low", "_high"):  # fused SE is faster than eager's trunk all the same
        column = f"vs_eager{end}_pct"
        frame.loc[variants, column] = frame.loc[variants, f"overhead{end}_pct"].astype(float) - 20
    return frame


def cell(frame: pd.DataFrame, path: str, column: str) -> str:
    return str(frame.set_index("path").loc[path, column])


def row(frame: pd.DataFrame, path: str, se: str) -> pd.Series:
    (found,) = (line for _, line in frame.iterrows() if (line["path"], line["se"]) == (path, se))
    return found


@pytest.mark.parametrize("placement", VARIANTS)
def test_a_cell_is_a_placement_by_a_path_at_the_papers_ratio(placement: str) -> None:
    """Its overhead over its own path's trunk, or over eager's."""
    frame = table()
    expected = row(frame, "fused", f"{placement}-r16")
    for made, quantity in ((over_trunk(frame), "overhead"), (over_eager(frame), "vs_eager")):
        value, low, high = (expected[f"{quantity}{end}_pct"] for end in ("", "_low", "_high"))
        assert cell(made, "fused", placement) == f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def test_control_and_trunk_stand_ahead() -> None:
    """The control is what two equal models differ by; eager's trunk is what all is held against."""
    made, eager = over_trunk(table()), over_eager(table())
    assert list(made.columns) == ["path", CONTROL, *VARIANTS]
    assert list(eager.columns) == ["path", TRUNK, *VARIANTS]
    assert set(made[CONTROL]) == {"+0.1 [-0.2, +0.4]"}
    assert cell(eager, "eager", TRUNK) == "0"
    assert cell(eager, "fused", TRUNK) == "-30.0 [-31.0, -29.0]"


def test_latencies_are_milliseconds() -> None:
    """Of the trunk and of every placement; what has none says why."""
    frame = table()
    frame["latency_s"] = [0.0101 + 0.001 * number for number in range(len(frame))]
    failed = (frame["path"] == "fused") & (frame["placement"] == "post")
    frame.loc[failed, ["latency_s", "status"]] = [None, "crashed"]
    made = latencies(frame[(frame["placement"] != "inner") | (frame["path"] != "eager")])
    assert list(made.columns) == ["path", TRUNK, *VARIANTS]
    trunk, inner = (row(frame, "fused", se)["latency_s"] for se in ("none", "inner-r16"))
    assert cell(made, "fused", TRUNK) == f"{trunk * 1e3:.1f}"
    assert cell(made, "fused", "inner") == f"{inner * 1e3:.1f}"
    assert (cell(made, "fused", "post"), cell(made, "eager", "inner")) == ("crashed", "–")


def test_operators_and_memory_are_those_of_trunk_and_published_se() -> None:
    """By each path, bytes in MiB; a dash where nothing was counted, weighed or asked for."""
    frame = table()
    trunk, standard = frame["placement"] == "none", frame["se"] == "standard-r16"
    fused = frame["path"] == "fused"
    names = ["operators", "live_peak_bytes", "resident_growth_bytes"]
    frame.loc[fused & trunk, names] = [55, 200 * 2**20, 2**30]
    frame.loc[fused & standard, names] = [None, 201 * 2**20, None]
    made = called_and_held(frame[fused | ~standard]).set_index("path")
    assert list(made.columns) == [
        f"{told}, {name}"
        for told in ("operators", "live MiB", "resident MiB")
        for name in (TRUNK, "standard")
    ]
    assert list(made.loc["fused"]) == ["55", "–", "200", "201", "1024", "–"]
    assert list(made.loc["eager"])[1::2] == ["–"] * 3


def test_preparing_and_the_largest_difference_are_told() -> None:
    """Of trunk and published SE, and of all placements; a dash where nothing could be run."""
    frame = table()
    trunk, standard = frame["placement"] == "none", frame["se"] == "standard-r16"
    fused = frame["path"] == "fused"
    frame["wrong_by"] = 3e-7
    frame.loc[fused & trunk, "prepare_s"] = 39.551
    frame.loc[fused & standard, "prepare_s"] = 0.051
    frame.loc[fused & (frame["se"] == "inner-r16"), "wrong_by"] = 1.26e-6
    frame.loc[~fused, ["prepare_s", "wrong_by"]] = None
    made = prepared_and_off(frame).set_index("path")
    assert list(made.columns) == ["prepare s, plain trunk", "prepare s, standard", "off at most"]
    assert list(made.loc["fused"]) == ["39.55", "0.05", "1.3e-06"]
    assert list(made.loc["eager"]) == ["–"] * 3


def test_what_is_missing_says_why() -> None:
    """A failure by its status, a placement that was not asked for by a dash."""
    frame = table()
    failed = (frame["path"] == "fused") & (frame["placement"] == "post")
    measured = [name for name in frame.columns if name.endswith("_pct")]
    frame.loc[failed, measured] = None
    frame.loc[failed, "status"] = "crashed"
    made = over_trunk(frame[frame["placement"] != "inner"])
    assert cell(made, "fused", "post") == "crashed"
    assert cell(made, "eager", "inner") == "–"


def test_one_process_gives_no_interval() -> None:
    """The estimate stands alone."""
    frame = table().assign(overhead_low_pct=None, overhead_high_pct=None)
    assert "[" not in "".join(over_trunk(frame)[VARIANTS].to_numpy().ravel())


def test_paths_stand_in_the_order_of_what_was_added() -> None:
    """Eager first, its transforms next, then each other executor with its own."""
    labels = [Path(transform, executor).label for executor in EXECUTORS for transform in TRANSFORMS]
    assert sorted(set(labels), key=path_order) == labels
    assert list(over_trunk(table().iloc[::-1])["path"]) == ["eager", "fused"]


def test_the_work_of_a_row_leaves_out_its_path() -> None:
    """Settings that differ in nothing else are one work."""
    assert work_of(table()).nunique() == 1
