"""The front is right, and its labels do not overlap."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from bench.plots import dodge, labels, pareto, style
from bench.plots.dominance import front
from tests.bench.plots.synthetic import (
    few,
    overlap,
    synthetic,
    with_overhead,
)


class TestPareto:
    points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)

    @settings(deadline=None)  # the first example pays for warming up
    @given(points)
    def test_front_is_what_nothing_dominates(self, points: list[tuple[int, int]]) -> None:
        """No point dominates one of the front, and some point dominates every other."""
        size, time = (pd.Series(values, dtype=float) for values in zip(*points, strict=True))
        on_front = front(size, time)
        for mine, is_best in zip(points, on_front, strict=True):
            beaten = any(
                other[0] <= mine[0] and other[1] <= mine[1] and other != mine for other in points
            )
            assert is_best == (not beaten)

    def test_point_without_a_number_is_on_no_front(self) -> None:
        """What was not measured neither is best nor beats another."""
        on_front = front(pd.Series([1.0, math.nan, 2.0]), pd.Series([5.0, 1.0, math.nan]))
        assert list(on_front) == [True, False, False]

    def test_trunk_is_shown_but_beats_nobody(self) -> None:
        """Values are in millions and milliseconds; fronts are among variants, whole and all."""
        frame = few("standard-r16", "standard-r16-layer4", "none", "standard-r8").assign(
            params=[12_000_000, 11_750_000, 11_500_000, 12_500_000],
            se_params=[500_000, 250_000, 0, 1_000_000],
            latency_s=[0.03, 0.029, 0.028, 0.031],
            latency_low_s=[0.0295, 0.0285, 0.028, 0.0305],
            latency_high_s=[0.0305, 0.0295, 0.028, 0.0315],
        )
        expected = pd.DataFrame(
            {
                "se": ["none", "standard-r8", "standard-r16", "standard-r16-layer4"],
                "placement": ["none", "standard", "standard", "standard"],
                "params_m": [11.5, 12.5, 12.0, 11.75],
                "se_params_m": [0.0, 1.0, 0.5, 0.25],
                "latency_ms": [28.0, 31.0, 30.0, 29.0],
                "low_ms": [28.0, 30.5, 29.5, 28.5],
                "high_ms": [28.0, 31.5, 30.5, 29.5],
                "on_front": [False, False, False, True],
                "on_front_everywhere": [False, False, True, False],
                "beaten": [False, True, True, False],
                "gap": [""] * 4,
            }
        )
        assert_frame_equal(pareto.data(frame), expected)

    @pytest.mark.parametrize(
        ("post", "noise_pct", "title"),
        [
            ((9.0, 8.0, 10.0), 0.5, "Choose from 2 of 3: the rest lose in both size and time"),
            ((9.0, 6.0, 12.0), 0.5, "No variant beats another in both size and time beyond noise"),
            ((9.0, 8.0, 10.0), 8.5, "No variant beats another in both size and time beyond noise"),
            ((9.0, math.nan, math.nan), 0.5,
             "No variant beats another in both size and time beyond noise"),
        ],
    )  # fmt: skip
    def test_title_counts_those_that_the_intervals_let_lead(
        self, post: tuple[float, float, float], noise_pct: float, title: str
    ) -> None:
        """A variant loses if one as small is faster beyond both intervals, and beyond noise."""
        frame = with_overhead(
            few("standard-r16", "pre-r16", "post-r16", "none"),
            standard_r16=(5.0, 4.0, 6.0), pre_r16=(5.5, 4.5, 6.5), post_r16=post,
        ).assign(noise_high_pct=noise_pct, se_params=[500_000, 500_000, 500_000, 0])  # fmt: skip
        lost = "latency_low_s"
        frame[lost] = frame[lost].where(frame["overhead_low_pct"].notna())
        assert pareto.title(pareto.data(frame)) == title

    def test_title_names_the_one_that_beats_all(self) -> None:
        """A chooser who has no choice is told what to take."""
        frame = with_overhead(
            few("standard-r16", "standard-r8", "none"),
            standard_r16=(2.0, 1.0, 3.0), standard_r8=(5.0, 4.0, 6.0),
        )  # fmt: skip
        title = "standard-r16 beats all others in both size and time"
        assert pareto.title(pareto.data(frame)) == title

    def test_point_without_interval_is_on_no_front(self) -> None:
        """A single process's luck draws no border that others must stay behind."""
        frame = with_overhead(
            few("standard-r16", "pre-r16", "none"), pre_r16=(0.1, math.nan, math.nan)
        )
        data = pareto.data(frame).set_index("se")
        assert list(data.index[data["on_front"]]) == ["standard-r16"]
        assert list(data.index[data["on_front_everywhere"]]) == ["standard-r16"]

    def test_only_intervals_on_a_front_are_drawn_in_full(self) -> None:
        """Others are light, and those of the beaten are not seen at all."""
        data = pareto.data(synthetic())
        shown = data[(data["placement"] != "none") & (data["gap"] == "")]
        named = shown["on_front"] | shown["on_front_everywhere"]
        (axes,) = pareto.draw(data, "s").axes
        drawn: dict[float, int] = {}
        for bars in axes.collections:
            opacity = bars.get_alpha()
            assert isinstance(opacity, float)
            drawn[opacity] = drawn.get(opacity, 0) + len(bars.get_paths())
        assert drawn == {
            0.9: named.sum(),
            0.25: (~named & ~shown["beaten"]).sum(),
            0.0: (~named & shown["beaten"]).sum(),
        }

    def test_points_of_one_size_do_not_hide_each_other(self) -> None:
        """Marks that share a size and a time stand side by side in the picture."""
        names = [f"{placement}-r16" for placement in ("standard", "post", "inner", "prenorm")]
        frame = few("none", "standard-r2", *names).assign(latency_s=0.03)
        figure = pareto.draw(pareto.data(frame), "s")
        figure.draw_without_rendering()
        (axes,) = figure.axes
        places = np.sort(np.concatenate([line.get_xdata() for line in axes.lines[:-2]]))
        pixels = axes.transData.transform([(place, 30.0) for place in places])[:, 0]
        assert len(places) == 5
        assert np.diff(pixels).min() > 6.5 / 72 * figure.dpi  # a mark's width


class TestDodge:
    placements = pd.Series(["prenorm", "standard", "pre"])

    def test_points_of_one_place_stand_around_it_in_the_order_of_placements(self) -> None:
        """Three of one place: in its middle the second, the others a step to either side."""
        places = dodge.dodged(pd.Series([2.0, 2.0, 2.0]), self.placements, step=0.1, span=9)
        assert np.log(places / 2) == pytest.approx([0.1, -0.1, 0.0])

    def test_point_that_stands_alone_stays(self) -> None:
        """Who needs no room keeps the true place."""
        places = dodge.dodged(pd.Series([4.0, 1.0, 2.0]), self.placements, step=0.1, span=9)
        assert places == pytest.approx([4.0, 1.0, 2.0])

    def test_crowd_does_not_outgrow_the_axis(self) -> None:
        """A hundred points of one place take half the axis at most."""
        crowd = pd.Series([1.0] * 100)
        places = dodge.dodged(crowd, pd.Series(["pre"] * 100), step=0.1, span=2.0)
        assert np.log(places.max() / places.min()) <= 1.0


class TestLabels:
    def test_labels_of_a_cluster_do_not_overlap(self) -> None:
        """Eight names of points that all but coincide hide neither each other nor what is taken."""
        axes = style.figure("t", "s", width=6, height=4).add_subplot()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        taken = [labels.bar(axes, 0.5, 0.3, 0.7)]
        cluster = [labels.Label(0.5, 0.5 + index / 1000, "standard-r16") for index in range(8)]
        boxes = [*labels.place(axes, cluster, taken), *taken]
        assert not any(
            overlap(one, other) for index, one in enumerate(boxes) for other in boxes[:index]
        )

    def test_label_stays_inside_the_axes(self) -> None:
        """A point in a corner has its name on the inner side."""
        axes = style.figure("t", "s", width=6, height=4).add_subplot()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        (box,) = labels.place(axes, [labels.Label(1, 1, "standard-r16")], [])
        inside = axes.get_window_extent()
        assert box.x1 <= inside.x1
        assert box.y1 <= inside.y1
