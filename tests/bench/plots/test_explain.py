"""What explains the overhead, and memory."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.plots import explain, memory
from tests.bench.plots.synthetic import (
    few,
    synthetic,
    texts,
    with_overhead,
)


class TestExplain:
    def test_extras_are_percent_of_the_trunk_sorted_by_overhead(self) -> None:
        """The cheapest is first, the one without a time last but with its counts."""
        frame = with_overhead(
            few("post-r2", "standard-r16", "none", "pre-r16"),
            standard_r16=(6.0, 5.5, 6.5), pre_r16=(4.0, 3.5, 4.5),
        ).assign(
            flops=[1030, 1010, 1000, 1005], ideal_bytes=[260, 240, 200, 220],
            operators=[75, 80, 50, 60],
        )  # fmt: skip
        data = explain.data(frame)
        assert list(data["se"]) == ["pre-r16", "standard-r16", "post-r2"]
        assert list(data["flops_pct"]) == [0.5, 1.0, 3.0]
        assert list(data["ideal_bytes_pct"]) == [10.0, 20.0, 30.0]
        assert list(data["operators_pct"]) == [20.0, 60.0, 50.0]
        assert list(data["gap"]) == ["", "", "crashed"]

    def test_rank_correlation_is_spearman_s(self) -> None:
        """Ranks count, not sizes: (1, 2, 3) against (1, 3, 2) is one half."""
        data = pd.DataFrame({"flops_pct": [1.0, 90.0, 8.0], "overhead_pct": [0.1, 0.2, 0.3]})
        assert explain.rank_correlation(data, "flops") == pytest.approx(0.5)

    @pytest.mark.parametrize("flops", [[1.0, 2.0], [5.0, 5.0, 5.0]])
    def test_rank_correlation_of_too_little_is_none(self, flops: list[float]) -> None:
        """Two variants, or a count that is the same for all, explain nothing."""
        data = pd.DataFrame({"flops_pct": flops, "overhead_pct": np.arange(len(flops)) / 10})
        assert math.isnan(explain.rank_correlation(data, "flops"))

    def test_rank_interval_is_fisher_s(self) -> None:
        """Of 0.5 among 34 pairs, by hand: z = 0.5493, half of its interval 0.3624."""
        assert explain.rank_interval(0.5, 34) == pytest.approx((0.1847, 0.7220), abs=1e-4)
        assert explain.rank_interval(1.0, 3) == (-1, 1)

    def test_title_names_every_count_that_explains_as_much(self) -> None:
        """A count is singled out only where the others' correlations lie below its interval."""
        count = 40
        rank = np.arange(count, dtype=float)
        odd = np.where(rank % 2, rank, rank[::-1])  # goes with nothing
        known = explain.data(synthetic()).iloc[[0] * count].reset_index(drop=True)
        known = known.assign(
            overhead_pct=rank, overhead_low_pct=rank - 0.1, overhead_high_pct=rank + 0.1,
            noise_low_pct=-0.1, noise_high_pct=0.1, flops_pct=rank, ideal_bytes_pct=odd,
            operators_pct=odd,
        )  # fmt: skip
        assert explain.title(known).startswith("The cost goes with arithmetic (rank correlation ")
        alike = known.assign(operators_pct=rank)
        assert explain.title(alike) == (
            "The cost goes with arithmetic and operators launched alike"
        )

    def test_title_explains_no_ranking_that_may_be_another(self) -> None:
        """As long as the variants cannot be told apart, there is no cost to go with a count."""
        data = explain.data(synthetic())
        assert explain.title(data).startswith("The cost goes with ")
        wide = data.assign(overhead_low_pct=-1.0, overhead_high_pct=9.0)
        noisy = data.assign(noise_high_pct=9.0)
        for each in (wide, noisy):
            expected = "The intervals are too wide to say what explains the cost"
            assert explain.title(each) == expected

    def test_title_explains_nothing_by_chance(self) -> None:
        """A rank correlation of 0.8 among four variants may be none."""
        names = ["standard-r2", "standard-r4", "standard-r8", "standard-r16"]
        costs = {"standard_r2": 4.0, "standard_r4": 3.0, "standard_r8": 1.0, "standard_r16": 2.0}
        frame = with_overhead(
            few("none", *names), **{name: (cost, cost, cost) for name, cost in costs.items()}
        )
        title = explain.title(explain.data(frame))
        assert title.startswith("No count clearly ranks the variants as the clock does")

    def test_title_admits_that_nothing_explains(self) -> None:
        """If no count ranks the variants as the clock does, the title says that."""
        frame = few("none", "standard-r2", "standard-r8", "standard-r32")
        order = {"standard_r2": (1.0,) * 3, "standard_r8": (2.0,) * 3, "standard_r32": (3.0,) * 3}
        frame = with_overhead(frame, **order)
        assert "No count clearly ranks the variants" in texts(
            explain.draw(explain.data(frame), "s")
        )

    def test_what_nobody_counted_has_no_panel(self) -> None:
        """By a runtime that makes operators of its own, arithmetic alone is known."""
        frame = few("none", "standard-r16", "pre-r16").assign(ideal_bytes=None, operators=None)
        figure = explain.draw(explain.data(frame), "s")
        heads = [axes.get_title(loc="left").splitlines()[0] for axes in figure.axes]
        assert heads == ["arithmetic", "time, measured"]


class TestMemory:
    frame = few("none", "standard-r16").assign(
        live_peak_bytes=[2**20, 3 * 2**20],
        resident_growth_bytes=[8 * 2**20, 7 * 2**20],
        device_peak_bytes=[2 * 2**20, 6 * 2**20],
    )

    def test_peaks_are_mib_over_the_trunk(self) -> None:
        """Both quantities in MiB, and their difference from the trunk's, which may be negative."""
        data = memory.data(self.frame)
        assert list(data["quantity"]) == [memory.LIVE, memory.RESIDENT]
        assert list(data["trunk_mib"]) == [1.0, 8.0]
        assert list(data["peak_mib"]) == [3.0, 7.0]
        assert list(data["extra_mib"]) == [2.0, -1.0]

    def test_device_peak_replaces_resident_growth_on_cuda(self) -> None:
        """On a GPU it is the device's memory that runs out."""
        data = memory.data(self.frame.assign(device="cuda"))
        assert list(data["quantity"]) == [memory.LIVE, memory.DEVICE]
        assert list(data["extra_mib"]) == [2.0, 4.0]

    def test_quantity_that_nobody_measured_has_no_panel(self) -> None:
        """Counts alone give the live-byte peak alone."""
        data = memory.data(self.frame.assign(resident_growth_bytes=None))
        assert set(data["quantity"]) == {memory.LIVE}
        assert len(memory.draw(data, "s").axes) == 1

    def test_title_claims_what_is_counted_and_nothing_measured_once(self) -> None:
        """The live-byte peak is exact; a single process's growth carries no claim."""
        assert memory.title(memory.data(self.frame)).startswith("SE adds 2.0 MiB to the trunk's")
        measured = memory.data(self.frame.assign(live_peak_bytes=None))
        expected = "Memory over the trunk's resident growth of 8.0 MiB, one measurement each"
        assert memory.title(measured) == expected
