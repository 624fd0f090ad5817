"""Overheads and the heat map: exact, with gaps where nothing was measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from bench.plots import explain, heatmap, memory, overhead, pareto, style
from se_models.config import PLACEMENTS
from tests.bench.plots.synthetic import (
    contrast,
    few,
    overlapping,
    synthetic,
    texts,
    with_overhead,
)


class TestOverhead:
    def test_rows_are_grid_then_others_by_placement_and_ratio(self) -> None:
        """Variants come by group and ratio whatever the order of the table; the trunk does not."""
        frame = few(
            "prenorm-r8-layer3-last", "pre-r16", "standard-r16", "none", "standard-r2",
            "standard-r16-min32",
        )  # fmt: skip
        data = overhead.data(frame)
        assert list(data["se"]) == [
            "standard-r2", "standard-r16", "pre-r16", "standard-r16-min32",
            "prenorm-r8-layer3-last",
        ]  # fmt: skip
        assert list(data["group"]) == [
            "standard", "standard", "pre", overhead.OTHERS, overhead.OTHERS,
        ]  # fmt: skip

    def test_values_are_exactly_the_table_s(self) -> None:
        """A row holds the overhead and its interval as measured, and no gap."""
        frame = with_overhead(few("none", "standard-r16"), standard_r16=(5.25, 4.5, 6.125))
        (row,) = overhead.data(frame).to_dict("records")
        assert row == {
            "group": "standard", "placement": "standard", "reduction": 16.0, "se": "standard-r16",
            "overhead_pct": 5.25, "overhead_low_pct": 4.5, "overhead_high_pct": 6.125, "gap": "",
            "noise_low_pct": -0.5, "noise_high_pct": 0.5,
        }  # fmt: skip

    @pytest.mark.parametrize("along", ["x", "y"])
    def test_noise_floor_is_that_of_each_variant_s_own_block(self, along: str) -> None:
        """Behind a variant stands its block's control arm; where that is unknown, nothing."""
        frame = few("none", "standard-r8", "standard-r16", "standard-r32").assign(
            noise_low_pct=[-3.0, -0.25, -1.0, math.nan], noise_high_pct=[3.0, 0.5, 0.75, math.nan]
        )
        figure: Any = overhead if along == "y" else explain
        axes = figure.draw(figure.data(frame), "s").axes[-1]
        boxes = [patch.get_bbox() for patch in axes.patches]
        ends = sorted(tuple(getattr(box, f"interval{along}")) for box in boxes)
        assert ends == [(-1.0, 0.75), (-0.25, 0.5)]

    def test_variant_without_grid_defaults_is_among_the_others(self) -> None:
        """A variant that differs in bias alone does not pass for the grid's own."""
        frame = few("none", "standard-r16", "standard-r8").assign(bias=[True, False, True])
        groups = overhead.data(frame).set_index("se")["group"]
        assert groups["standard-r16"] == overhead.OTHERS
        assert groups["standard-r8"] == "standard"

    def test_title_tells_least_and_most_where_they_are_apart(self) -> None:
        """The title names the extremes, with a true minus sign, and how many cost anything."""
        frame = with_overhead(
            few("none", "standard-r16", "pre-r16"),
            standard_r16=(5.25, 4.5, 6.0), pre_r16=(-0.31, -0.8, 0.2),
        )  # fmt: skip
        assert overhead.title(overhead.data(frame)) == (
            "SE costs −0.3 % (pre-r16) to 5.2 % (standard-r16); 1 of 2 beyond noise"
        )

    def test_title_names_no_extreme_that_may_be_none(self) -> None:
        """Where even the least and the most overlap, the title says so."""
        frame = with_overhead(
            few("none", "standard-r16", "pre-r16"),
            standard_r16=(5.2, 3.0, 9.0), pre_r16=(4.2, 1.0, 8.0),
        )  # fmt: skip
        assert overhead.title(overhead.data(frame)) == (
            "All 2 variants are slower than the trunk beyond noise; "
            "least and most cannot be told apart"
        )

    def test_title_claims_no_cost_within_the_noise(self) -> None:
        """Intervals above 0, and apart, mean nothing where two equal models differ by as much."""
        frame = with_overhead(
            few("none", "standard-r16", "pre-r16"),
            standard_r16=(5.2, 4.0, 6.0), pre_r16=(0.5, 0.1, 0.9),
        ).assign(noise_high_pct=4.5)  # fmt: skip
        expected = "None of 2 variants is slower than the trunk beyond noise"
        assert overhead.title(overhead.data(frame)) == expected


class TestGaps:
    """A failure is seen in every figure that it is missing from."""

    @pytest.mark.parametrize("figure", [overhead, heatmap, pareto, explain, memory])
    def test_failed_trial_is_in_the_data_and_in_the_picture(self, figure: Any) -> None:
        """The status of a crashed trial stands where its value would."""
        data = figure.data(few("none", "post-r2", "post-r4"))
        assert "crashed" in set(data["gap"])
        assert "crashed" in texts(figure.draw(data, "s"))

    def test_latency_of_a_trial_whose_memory_failed_is_shown(self) -> None:
        """What went wrong with one quantity hides no other."""
        frame = few("none", "standard-r8", "standard-r16")
        frame.loc[frame["se"] == "standard-r8", "status"] = "oom"
        data = overhead.data(frame)
        assert list(data["gap"]) == ["", ""]
        assert data["overhead_pct"].notna().all()

    def test_good_trial_without_a_number_is_not_measured(self) -> None:
        """A trial that only was counted says so."""
        frame = with_overhead(
            few("none", "standard-r8", "standard-r16"), standard_r8=(math.nan,) * 3
        )
        assert list(overhead.data(frame)["gap"]) == ["not measured", ""]


class TestHeatmap:
    def test_every_cell_of_the_product_has_a_row(self) -> None:
        """A combination that was never run is a cell that says so; others are left out."""
        frame = with_overhead(
            few("none", "pre-r16", "standard-r4", "standard-r16-layer4"),
            standard_r4=(6.0, 5.0, 7.5), pre_r16=(3.0, 2.5, 3.5),
        )  # fmt: skip
        expected = pd.DataFrame(
            {
                "placement": ["standard", "standard", "pre", "pre"],
                "reduction": [4.0, 16.0, 4.0, 16.0],
                "overhead_pct": [6.0, math.nan, math.nan, 3.0],
                "overhead_low_pct": [5.0, math.nan, math.nan, 2.5],
                "overhead_high_pct": [7.5, math.nan, math.nan, 3.5],
                "noise_low_pct": [-0.5, math.nan, math.nan, -0.5],
                "noise_high_pct": [0.5, math.nan, math.nan, 0.5],
                "gap": ["", heatmap.NOT_RUN, heatmap.NOT_RUN, ""],
            }
        )
        assert_frame_equal(heatmap.data(frame), expected)

    @pytest.mark.parametrize(
        ("r4", "r16", "title"),
        [
            (2.0, 6.0, "The ratio moves the cost by 4.0 points, placement not measurably"),
            (5.0, 6.0, "Neither placement nor ratio measurably moves the cost"),
        ],
    )
    def test_title_claims_only_what_the_intervals_carry(
        self, r4: float, r16: float, title: str
    ) -> None:
        """A side of the map moves the cost if its extremes' typical intervals are apart."""
        frame = with_overhead(
            few("none", "pre-r4", "pre-r16", "standard-r4", "standard-r16"),
            pre_r4=(r4, r4 - 1, r4 + 1), standard_r4=(r4, r4 - 1, r4 + 1),
            pre_r16=(r16, r16 - 1, r16 + 1), standard_r16=(r16, r16 - 1, r16 + 1),
        )  # fmt: skip
        data = heatmap.data(frame)
        assert heatmap.title(data) == title
        noisy = heatmap.title(data.assign(noise_high_pct=9.0))
        assert noisy == "Neither placement nor ratio measurably moves the cost"

    def test_title_tells_single_variants_from_their_sides(self) -> None:
        """The cheapest cell and the dearest may be apart where no placement and no ratio is."""
        frame = with_overhead(
            few("none", "pre-r4", "pre-r16", "standard-r4", "standard-r16"),
            pre_r4=(6.0, 5.8, 6.2), standard_r4=(5.0, 4.8, 5.2),
            pre_r16=(5.0, 4.8, 5.2), standard_r16=(5.5, 5.3, 5.7),
        )  # fmt: skip
        assert heatmap.title(heatmap.data(frame)) == (
            "Single variants differ; neither placement nor ratio alone moves the cost"
        )

    def test_cell_without_interval_is_hollow(self) -> None:
        """It says so, in white, and so does not shade the map as a finding would."""
        frame = with_overhead(
            few("none", "pre-r4", "pre-r16"), pre_r4=(2.0, math.nan, math.nan)
        )  # fmt: skip
        figure = heatmap.draw(heatmap.data(frame), "s")
        (axes,) = figure.axes
        assert [patch.get_facecolor()[:3] == (1, 1, 1) for patch in axes.patches] == [True, False]
        assert "no interval" in texts(figure)

    def test_text_stands_out_from_its_cell(self) -> None:
        """Each number's contrast with its colour is at least 3.8 (WCAG 2.1), all over the map."""
        values = np.linspace(0, 8, 24)
        data = pd.DataFrame(
            {
                "placement": "standard", "reduction": np.arange(1.0, 25.0), "overhead_pct": values,
                "overhead_low_pct": values - 0.5, "overhead_high_pct": values + 0.5,
                "noise_low_pct": -0.5, "noise_high_pct": 0.5, "gap": "",
            }
        )  # fmt: skip
        (axes,) = heatmap.draw(data, "s").axes
        for index, patch in enumerate(axes.patches):
            ink = axes.texts[2 * index].get_color()
            assert contrast(patch.get_facecolor(), ink) >= 3.8


def test_every_placement_has_its_own_colour_and_marker() -> None:
    """No placement of the models is grey, and no two look alike; an unknown one is grey."""
    looks = [style.mark(placement) for placement in PLACEMENTS if placement != "none"]
    assert len({look.colour for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)
    assert style.mark("new").colour == style.MUTED
    assert style.MUTED not in {look.colour for look in looks}


def test_names_of_the_overhead_figure_do_not_overlap() -> None:
    """Below the axis of the whole table, every label has room of its own."""
    figure = overhead.draw(overhead.data(synthetic()), "s")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert not overlapping(axes)
