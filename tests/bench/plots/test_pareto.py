"""The front is right, and its labels do not overlap."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from bench.plots import labels, pareto, style
from tests.bench.plots.synthetic import (
    few,
    overlap,
    texts,
)


class TestPareto:
    points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)

    @settings(deadline=None)  # the first example pays for warming up
    @given(points)
    def test_front_is_what_nothing_dominates(self, points: list[tuple[int, int]]) -> None:
        """No point dominates one of the front, and some point dominates every other."""
        size, time = np.array(points, dtype=float).T
        on_front = pareto.front(size, time)
        for mine, is_best in zip(points, on_front, strict=True):
            beaten = any(
                other[0] <= mine[0] and other[1] <= mine[1] and other != mine for other in points
            )
            assert is_best == (not beaten)

    def test_point_without_a_number_is_on_no_front(self) -> None:
        """What was not measured neither is best nor beats another."""
        front = pareto.front(np.array([1.0, math.nan, 2.0]), np.array([5.0, 1.0, math.nan]))
        assert list(front) == [True, False, False]

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
                "gap": [""] * 4,
            }
        )
        assert_frame_equal(pareto.data(frame), expected)

    def test_title_counts_those_that_the_intervals_let_lead(self) -> None:
        """A variant may lead unless one as small is faster beyond both intervals."""
        frame = few("standard-r16", "pre-r16", "post-r16", "none").assign(
            params=[12_000_000, 12_000_000, 12_000_000, 11_500_000],
            se_params=[500_000, 500_000, 500_000, 0],
            latency_s=[0.030, 0.0302, 0.033, 0.028],
            latency_low_s=[0.0295, 0.0297, 0.0325, 0.028],
            latency_high_s=[0.0305, 0.0307, 0.0335, 0.028],
        )
        written = texts(pareto.draw(pareto.data(frame), "s"))
        title = "1 of 3 variants is beaten by none in size and time; intervals allow 1 more"
        assert title in written


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
