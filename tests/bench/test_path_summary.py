"""The table of paths: a line for each, with what it makes of the trunk and of SE."""

from __future__ import annotations

import io
import re

import pandas as pd
import pytest
from rich.console import Console

from bench.path_summary import by_path, failed_paths
from bench.summary import markdown, print_summary
from tests.bench.plots.test_paths import by_paths

REASON = "latency: the package openvino is not installed: pip install 'se-bench[openvino]'"


def table() -> pd.DataFrame:
    return by_paths().assign(
        prepare_s=0.25, wrong_by=3e-7, verdict=None, detectable_pct=None, disturbed=False,
        noise_pct=None,
    )  # fmt: skip


def without(path: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table of a machine that cannot run ``path``."""
    failed = frame["path"] == path
    measured = [name for name in frame.columns if re.search(r"_s$|_pct$|^wrong_by$", name)]
    frame.loc[failed, measured] = None
    frame.loc[failed, "status"] = "unsupported"
    frame.loc[failed, "reason"] = REASON
    return frame


def test_times_of_a_gpu_say_that_its_cache_is_warm() -> None:
    """In every caption; a CPU's do not, which has no such choice."""
    assert "warm" not in markdown(table())
    captions = [
        line
        for line in markdown(table().assign(device="cuda")).splitlines()
        if line.startswith("**")
    ]
    assert len(captions) == 3
    assert all("threads, warm L2 cache" in caption for caption in captions)


def printed(frame: pd.DataFrame, width: int) -> str:
    output = io.StringIO()
    print_summary(frame, Console(file=output, width=width))
    return output.getvalue()


def test_a_path_is_a_line() -> None:
    """Its trunk against eager's, published SE, the cheapest placement, what preparing took."""
    eager, fused = by_path(table()).to_dict("records")
    assert (eager["path"], eager["trunk"]) == ("eager", "1")
    assert fused["trunk"] == "0.700 [0.690, 0.710]"
    assert (fused["prepare s"], fused["off"]) == ("0.2", "3.0e-07")
    published = "standard-r16 %"
    assert float(fused[published].split()[0]) < float(eager[published].split()[0])
    assert fused["cheapest"].startswith("identity")
    assert fused["cheapest %"].startswith("+")


def test_what_was_disturbed_is_marked_and_never_the_cheapest() -> None:
    """As in every other table."""
    frame = table()
    published = (frame["se"] == "standard-r16") & (frame["path"] == "fused")
    frame.loc[published, "overhead_pct"] = -50.0
    frame.loc[published, "disturbed"] = True
    _, fused = by_path(frame).to_dict("records")
    assert fused["standard-r16 %"].startswith("-50.0 (!) [")
    assert fused["cheapest"].startswith("identity")
    frame["disturbed"] = True
    assert {line["cheapest"] for line in by_path(frame).to_dict("records")} == {""}


def test_the_worst_output_and_the_middle_of_preparing_are_told() -> None:
    """Whichever rows they are of."""
    frame = table()
    own = frame.index[frame["path"] == "fused"]
    frame.loc[own[0], "wrong_by"] = 4e-6
    frame.loc[own[1], "wrong_by"] = 1e-8
    frame.loc[own[0], "prepare_s"] = 60.0
    frame.loc[own[1], "prepare_s"] = 0.01
    _, fused = by_path(frame).to_dict("records")
    assert (fused["prepare s"], fused["off"]) == ("0.2", "4.0e-06")


def test_se_as_published_is_that_and_no_other() -> None:
    """A variant of another least width, however cheap, stands for nothing here."""
    frame = table()
    other = (frame["se"] == "standard-r16-min32") & (frame["path"] == "eager")
    assert other.any()
    frame.loc[other, ["overhead_pct", "overhead_low_pct", "overhead_high_pct"]] = -50.0
    assert by_path(frame).equals(by_path(table()))


@pytest.mark.parametrize("bounded", ["none", "others", "least"])
def test_without_an_interval_nothing_is_the_cheapest_alone(bounded: str) -> None:
    """A single process gives none: then any of several placements may be as cheap."""
    frame = table()
    own = frame[(frame["path"] == "fused") & frame["se"].str.endswith("-r16")]
    least = own["overhead_pct"].astype(float).idxmin()
    unbounded = {
        "none": own.index, "others": own.index.difference([least]), "least": [least],
    }[bounded]  # fmt: skip
    ends = ["overhead_low_pct", "overhead_high_pct"]
    frame.loc[own.index, ends[0]] = frame.loc[own.index, "overhead_pct"] - 1e-6
    frame.loc[own.index, ends[1]] = frame.loc[own.index, "overhead_pct"] + 1e-6
    frame = frame.astype(dict.fromkeys(ends, float))
    assert by_path(frame)["cheapest"].tolist()[1] == "identity"
    frame.loc[unbounded, ends] = float("nan")
    assert by_path(frame)["cheapest"].tolist()[1] == "identity="
    frame = frame.drop(index=own.index.difference([least]))
    assert by_path(frame)["cheapest"].tolist()[1] == "identity"


def test_a_path_that_cannot_run_says_why() -> None:
    """Its line has the status and no numbers, and the reason stands whole below the table."""
    frame = without("fused", table())
    line = by_path(frame).to_dict("records")[1]
    assert line["cheapest"] == "unsupported"
    assert {value for name, value in line.items() if name not in ("path", "cheapest")} == {""}
    assert failed_paths(frame) == [f"fused: unsupported, {REASON}"]
    assert failed_paths(table()) == []
    for shown in (printed(frame, 200), markdown(frame)):
        assert f"fused: unsupported, {REASON}" in shown
    trunk = (frame["path"] == "fused") & (frame["placement"] == "none")
    frame.loc[trunk, ["status", "reason"]] = ("not measured", None)  # as in a run that was stopped
    assert failed_paths(frame) == [f"fused: unsupported, {REASON}"]


def test_a_path_that_ran_in_part_has_not_failed() -> None:
    """What became of the rest stands in the tables of its setting."""
    frame = table()
    failed = (frame["path"] == "fused") & (frame["placement"] == "post")
    frame.loc[failed, "status"] = "crashed"
    frame.loc[failed, ["p50_s", "overhead_pct", "overhead_low_pct", "overhead_high_pct"]] = None
    assert failed_paths(frame) == []
    assert by_path(frame)["cheapest"].tolist()[1].startswith("identity")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_narrow_console_loses_columns_and_no_digit(width: int) -> None:
    """What a path makes of the trunk and of SE stays whole; at 140 columns all does."""
    long = table().assign(path=lambda rows: rows["path"].replace("fused", "fused+compile_freezing"))
    lines = printed(long, width).splitlines()
    assert not any("…" in line for line in lines)
    expected = by_path(long).to_dict("records")[1]
    (line,) = [line for line in lines if line.lstrip().startswith("fused+compile_freezing ")]
    for name in ("trunk", "standard-r16 %", "cheapest"):
        assert expected[name] in line
    assert (expected["off"] in line) == (width >= 140)


def test_one_path_has_no_table() -> None:
    """There is nothing to compare it with."""
    alone = table()
    alone = alone[alone["path"] == "eager"]
    assert by_path(alone).empty
    assert "by path" not in markdown(alone)
