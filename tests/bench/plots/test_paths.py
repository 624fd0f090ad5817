"""The picture of paths: what SE costs by each, and what each makes of the plain trunk."""

from __future__ import annotations

import pandas as pd

from bench.plots import digests
from bench.plots.paths import data, draw, title
from bench.plots.style import PLACEMENTS
from tests.bench.plots.synthetic import synthetic

TIMES = ("vs_eager_pct", "vs_eager_low_pct", "vs_eager_high_pct")


def by_paths() -> pd.DataFrame:
    """Eager with all its ratios; fused at r = 16, a third faster, SE at a fifth of its cost."""
    eager = synthetic().assign(**dict.fromkeys(TIMES, None))
    fused = eager[(eager["placement"] == "none") | (eager["reduction"] == 16)].copy()
    fused = fused.assign(path="fused", transform="fused", vs_eager_pct=-30.0,
                         vs_eager_low_pct=-31.0, vs_eager_high_pct=-29.0)  # fmt: skip
    fused["setting"] = fused["setting"].str.replace("none+eager", "fused+eager")
    for column in ("overhead_pct", "overhead_low_pct", "overhead_high_pct"):
        fused[column] = fused[column].astype(float) / 5
    return pd.concat([eager, fused], ignore_index=True)


def test_each_path_has_a_row_and_each_placement_a_column() -> None:
    """At the paper's ratio; the trunk's own time stands ahead of them."""
    found = data(by_paths())
    assert list(found["path"].unique()) == ["eager", "fused"]
    assert list(found["placement"]) == ["none", *PLACEMENTS] * 2
    figure = draw(found, "a machine")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["eager", "fused"]
    assert axes.get_xticklabels()[0].get_text() == "plain trunk"
    texts = [text.get_text() for text in axes.texts]
    assert "eager itself" in texts
    assert texts.count("0.70") == 1
    assert "± 0.01" in texts


def test_one_path_is_no_comparison() -> None:
    """Nor are several of which nothing was measured."""
    frame = by_paths()
    assert data(frame[frame["path"] == "eager"]).empty
    assert data(frame.assign(overhead_pct=None)).empty


def test_the_title_claims_what_intervals_carry() -> None:
    """The dearest and the cheapest path, if they are apart."""
    frame = by_paths()
    assert title(data(frame)).startswith("SE as published costs ")
    assert title(data(frame)).endswith("by fused")
    wide = frame.assign(overhead_low_pct=-50.0, overhead_high_pct=50.0)
    assert title(data(wide)) == "What SE costs, by path and placement"
    broken = frame.assign(disturbed=frame["path"].eq("eager"))
    assert title(data(broken)) == "What SE costs, by path and placement"
    assert "± 0.01" in [text.get_text() for text in draw(data(broken), "a machine").axes[0].texts]


def test_what_failed_says_so() -> None:
    """In the cell where its number would be."""
    frame = by_paths()
    failed = (frame["path"] == "fused") & (frame["placement"] == "post")
    frame.loc[failed, "status"] = "unsupported"
    frame.loc[failed, ["overhead_pct", "overhead_low_pct", "overhead_high_pct"]] = None
    figure = draw(data(frame), "a machine")
    assert "unsupported" in [text.get_text() for text in figure.axes[0].texts]


def test_plain_names_are_the_plain_paths() -> None:
    """Pictures of eager keep theirs, those of other paths say by which."""
    frame = by_paths().assign(setting=lambda rows: "resnet18@work@" + rows["path"])
    assert {"overhead", "overhead-fused", "memory-fused", "heatmap", "paths"} <= set(digests(frame))


def test_a_path_that_cannot_run_has_a_row_here_and_no_picture_of_its_own() -> None:
    """Though memory that was counted could be drawn."""
    frame = by_paths().assign(setting=lambda rows: "resnet18@work@" + rows["path"])
    frame.loc[frame["path"] == "fused", "status"] = "unsupported"
    assert {name for name in digests(frame) if name.endswith("-fused")} == set()
    assert "paths" in digests(frame)


def test_paths_stand_in_the_order_of_what_they_change() -> None:
    """Eager, its transforms, then executor by executor."""
    eager = by_paths()
    eager = eager[eager["path"] == "eager"]
    names = ["openvino", "fused+compile", "fused", "eager", "compile", "folded"]
    frame = pd.concat([eager.assign(path=name) for name in names], ignore_index=True)
    assert list(data(frame)["path"].unique()) == [
        "eager", "folded", "fused", "compile", "fused+compile", "openvino",
    ]  # fmt: skip
