"""A text claims what intervals and noise carry, and nothing of what has none."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench import plots
from bench.plots import claims, explain, overhead, pareto, style
from tests.bench.plots.synthetic import few, synthetic, with_overhead


def costs(*overheads: tuple[float, float, float], noise: tuple[float, float]) -> pd.DataFrame:
    """Rows with these overheads, all in a block of this noise."""
    columns = ["overhead_pct", "overhead_low_pct", "overhead_high_pct"]
    frame = pd.DataFrame(overheads, columns=columns)
    return frame.assign(
        noise_low_pct=noise[0], noise_high_pct=noise[1], se=[f"v{row}" for row in frame.index]
    )


class TestSlower:
    @pytest.mark.parametrize(
        ("low", "noise_high", "expected"),
        [
            (1.0, 0.5, True),
            (0.4, 0.5, False),  # within the noise
            (-0.1, -0.5, False),  # above the noise, but not above the trunk
            (0.1, -0.5, True),
            (1.0, math.nan, False),  # nobody knows the noise
            (math.nan, 0.5, False),
        ],
    )
    def test_slower_is_above_zero_and_above_noise(
        self, low: float, noise_high: float, expected: bool
    ) -> None:
        """Both must be known, and the lower end must be above both."""
        rows = costs((2.0, low, 3.0), noise=(-1.0, noise_high))
        assert list(claims.slower(rows)) == [expected]


class TestExtremes:
    def test_least_and_most_are_of_those_with_intervals(self) -> None:
        """An estimate without interval may be the lowest and is still no extreme."""
        rows = costs(
            (0.0, math.nan, math.nan), (5.0, 4.0, 6.0), (1.0, 0.5, 2.0), (9.0, math.nan, math.nan),
            noise=(-0.1, 0.1),
        )  # fmt: skip
        found = claims.extremes(rows)
        assert found is not None
        assert (found.least["se"], found.most["se"]) == ("v2", "v1")

    def test_extremes_that_overlap_or_are_noise_are_none(self) -> None:
        """Nothing is least or most that may be as much as the other, or as a trunk."""
        apart = ((5.0, 4.0, 6.0), (1.0, 0.5, 2.0))
        assert claims.extremes(costs(*apart, noise=(-4.5, 4.5))) is None
        assert claims.extremes(costs(*apart, noise=(math.nan, math.nan))) is None
        assert claims.extremes(costs((5.0, 1.9, 6.0), apart[1], noise=(-0.1, 0.1))) is None


class TestTally:
    @pytest.mark.parametrize(
        ("overheads", "expected"),
        [
            ([(3, 2, 4), (3, 2, 4)], "All 2 variants are slower than the trunk beyond noise"),
            ([(3, 2, 4), (1, 0, 2), (3, 2, 4)],
             "2 of 3 variants are slower than the trunk beyond noise"),
            ([(1, 0, 2), (1, 0, 2)], "None of 2 variants is slower than the trunk beyond noise"),
            ([(3, 2, 4)], "v0 is slower than the trunk beyond noise"),
            ([(1, 0, 2)], "v0 cannot be told from the trunk beyond noise"),
            ([(3, 2, 4), (9, math.nan, math.nan)],
             "1 of 1 variant with an interval is slower than the trunk beyond noise"),
            ([(9, math.nan, math.nan)],
             "No variant has an interval yet, so none can be told from the trunk"),
        ],
    )  # fmt: skip
    def test_sentence_counts_what_has_an_interval(
        self, overheads: list[tuple[float, float, float]], expected: str
    ) -> None:
        """The number of variants is that of which the sentence can speak."""
        assert claims.tally(costs(*overheads, noise=(-0.5, 0.5))) == expected


@pytest.mark.parametrize("figure", [overhead, explain, pareto])
def test_point_without_interval_is_hollow_and_has_no_bar(figure: Any) -> None:
    """One of two variants was measured by a single process: it is seen, and looks like less."""
    frame = with_overhead(few("none", "standard-r16", "pre-r16"), pre_r16=(5.0, math.nan, math.nan))
    ends = ["latency_low_s", "latency_high_s"]
    frame.loc[frame["se"] == "pre-r16", ends] = math.nan
    axes = figure.draw(figure.data(frame), "s").axes[-1]
    faces = {
        (line.get_color(), line.get_markerfacecolor())
        for line in axes.lines
        if line.get_marker() != "None" and len(line.get_xdata())
    }
    standard, pre = (style.mark(name).colour for name in ("standard", "pre"))
    assert faces == {(standard, standard), (pre, "white")}
    assert sum(len(bars.get_paths()) for bars in axes.collections) == 1


@pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
def test_nothing_is_claimed_of_a_table_without_intervals(plot: plots.Plot) -> None:
    """Estimates alone make every picture, and a title that names no winner and no cost."""
    ends = [f"{what}_{end}_pct" for what in ("overhead", "noise") for end in ("low", "high")]
    frame = synthetic()
    frame[[*ends, "latency_low_s", "latency_high_s"]] = math.nan
    data = plot.data(frame)
    plot.draw(data, "s").draw_without_rendering()
    assert (
        plot.title(data)
        == {
            "overhead": "No variant has an interval yet, so none can be told from the trunk",
            "heatmap": "What SE costs, by placement and reduction ratio",
            "pareto": "What SE adds to the trunk, in size and in time",
            "explain": "What SE adds to the trunk, and what it costs",
            "memory": plot.title(plot.data(synthetic())),  # which is of counts
        }[plot.name]
    )


@pytest.mark.parametrize("name", ["overhead_low_pct", "noise_low_pct"])
def test_table_with_some_intervals_is_drawn(name: str) -> None:
    """Some rows lack an interval or their control's: all figures cope."""
    frame = synthetic()
    other = name.replace("low", "high")
    frame.loc[frame.index % 3 == 0, [name, other]] = math.nan
    for plot in plots.PLOTS:
        plot.draw(plot.data(frame), "s").draw_without_rendering()
