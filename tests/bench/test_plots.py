"""The pictures: what they plot is exact, what they write repeats, what failed is seen."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from pandas.testing import assert_frame_equal

import bench
from bench import plots
from bench.plots import explain, heatmap, labels, memory, overhead, pareto, style
from se_models.config import PLACEMENTS

RATIOS = (2, 4, 8, 16, 32)
TRUNK_PARAMS, TRUNK_MACS, TRUNK_OPERATORS, TRUNK_S = 11_689_512, 1_814_073_344, 68, 0.028
# Overhead in percent at r=16, and SE parameters there; pre and identity see a block's input.
COST_PCT = {
    "standard": 6.1, "pre": 5.0, "post": 7.2, "identity": 4.6, "inner": 5.6, "prenorm": 6.4,
}  # fmt: skip
SE_PARAMS_16 = {"pre": 45_312, "identity": 45_312}


MEASURED = [
    "live_peak_bytes", "resident_growth_bytes", "overhead_pct", "overhead_low_pct",
    "overhead_high_pct", "p50_s", "p95_s", "p99_s", "latency_s", "latency_low_s",
    "latency_high_s", "throughput_per_s",
]  # fmt: skip


def synthetic(architecture: str = "resnet18", *, seed: int = 1) -> pd.DataFrame:
    """A table as a grid over one architecture gives it: all placements and ratios, some extras."""
    random = np.random.default_rng(seed)
    rows = [_row(architecture, random, "none", None)]
    for placement in COST_PCT:
        rows += [_row(architecture, random, placement, ratio) for ratio in RATIOS]
    rows += [
        _row(architecture, random, "standard", 16, stages="4"),
        _row(architecture, random, "standard", 16, stages="3+4"),
        _row(architecture, random, "prenorm", 8, stages="3", blocks="last"),
        _row(architecture, random, "standard", 16, min_hidden=32),
    ]
    frame = pd.DataFrame(rows)
    frame["reduction"] = frame["reduction"].astype("Int64")
    failed = frame["se"] == "post-r2"
    frame.loc[failed, ["status", "reason"]] = ["crashed", "exit code -11"]
    frame.loc[failed, MEASURED] = math.nan
    return frame


def _row(
    architecture: str,
    random: np.random.Generator,
    placement: str,
    ratio: int | None,
    *,
    stages: str = "1+2+3+4",
    blocks: str = "all",
    min_hidden: int = 1,
) -> dict[str, Any]:
    """One trial; what SE costs grows with the blocks that carry it, and a little with 1/r."""
    share = {"1+2+3+4": 1.0, "3+4": 0.5, "4": 0.25, "3": 0.13}[stages] * (ratio is not None)
    spread = 16 / ratio if ratio else 0.0
    weight = {"1+2+3+4": 1.0, "3+4": 0.94, "4": 0.75, "3": 0.19 / 2}[stages]
    se_params = round(SE_PARAMS_16.get(placement, 89_080) * spread * weight * (ratio is not None))
    se_params += 12_288 * (min_hidden > 1)
    overhead = share * COST_PCT.get(placement, 0.0) * (0.9 + 0.1 * math.sqrt(spread))
    overhead += 0.2 * random.standard_normal() * (ratio is not None)
    half = float(random.uniform(0.3, 0.7)) if ratio else 0.0
    suffix = ("" if stages == "1+2+3+4" else f"-layer{stages}") + ("-last" * (blocks == "last"))
    suffix += f"-min{min_hidden}" if min_hidden > 1 else ""
    se = f"{placement}-r{ratio}{suffix}" if ratio else "none"
    workload = "cpu-float32-contiguous-b1-224px-4t@none+eager"
    macs = TRUNK_MACS + se_params
    elementwise = 21_000_000 + round(1_400_000 * share * (1.3 if placement == "post" else 1))
    latency = TRUNK_S * (1 + overhead / 100)
    slack = TRUNK_S * half / 100
    return {
        "setting": f"{architecture}@{workload}",
        "trial": f"{architecture}/{se}@{workload}",
        "architecture": architecture,
        "se": se,
        "placement": placement,
        "reduction": ratio,
        "stages": stages,
        "blocks": blocks,
        "min_hidden": min_hidden,
        "bias": True,
        "device": "cpu",
        "dtype": "float32",
        "layout": "contiguous",
        "batch": 1,
        "size": 224,
        "threads": 4,
        "transform": "none",
        "executor": "eager",
        "status": "ok",
        "reason": None,
        "params": TRUNK_PARAMS + se_params,
        "se_params": se_params,
        "macs": macs,
        "elementwise_ops": elementwise,
        "flops": 2 * macs + elementwise,
        "ideal_bytes": 107_000_000 + 4 * se_params + round(9_500_000 * share),
        "operators": TRUNK_OPERATORS + round(8 * 8 * share),
        "live_peak_bytes": 57_700_000 + 4 * se_params + round(800_000 * share),
        "resident_growth_bytes": 96_000_000 + 4 * se_params + random.integers(-400_000, 1_500_000),
        "device_peak_bytes": None,
        "overhead_pct": overhead if ratio else None,
        "overhead_low_pct": overhead - half if ratio else None,
        "overhead_high_pct": overhead + 1.1 * half if ratio else None,
        "noise_low_pct": -0.6 + 0.1 * share,
        "noise_high_pct": 0.5,
        "noise_sd_pct": 0.4,
        "p50_s": latency,
        "p95_s": 1.1 * latency,
        "p99_s": 1.3 * latency,
        "latency_s": latency,
        "latency_low_s": latency - slack,
        "latency_high_s": latency + 1.1 * slack,
        "throughput_per_s": 1 / latency,
        "rounds": 120,
        "processes": 5,
        "block": "b1",
        "rank": "1=",
        "machine": "Intel(R) Xeon(R) Processor @ 2.60GHz",
    }


def few(*se: str) -> pd.DataFrame:
    """Some rows of the synthetic table, in the order they are named."""
    frame = synthetic()
    return pd.concat([frame[frame["se"] == name] for name in se], ignore_index=True)


def with_overhead(frame: pd.DataFrame, **overhead_pct: tuple[float, float, float]) -> pd.DataFrame:
    """The table with overheads and their intervals, named by SE label with ``_`` for ``-``."""
    changed = frame.copy()
    for name, values in overhead_pct.items():
        columns = ["overhead_pct", "overhead_low_pct", "overhead_high_pct"]
        changed.loc[changed["se"] == name.replace("_", "-"), columns] = values
    return changed


def texts(figure: Figure) -> str:
    """All that is written in a figure."""
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in (*axes.texts, *axes.get_yticklabels())]
    return " ".join(" ".join(found).split("\n")).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Everything drawn once from the whole synthetic table, and where."""
    folder = tmp_path_factory.mktemp("plots") / "new"
    return plots.draw(synthetic(), folder), folder


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
            "overhead_pct": 5.25, "low_pct": 4.5, "high_pct": 6.125, "gap": "",
            "noise_low_pct": -0.6, "noise_high_pct": 0.5,
        }  # fmt: skip

    def test_noise_floor_is_the_union_of_the_control_intervals(self) -> None:
        """The band reaches from the lowest to the highest end of any block's control arm."""
        frame = few("none", "standard-r16", "standard-r8").assign(
            noise_low_pct=[-0.2, -0.9, math.nan], noise_high_pct=[0.7, 0.1, math.nan]
        )
        data = overhead.data(frame)
        assert set(data["noise_low_pct"]) == {-0.9}
        assert set(data["noise_high_pct"]) == {0.7}

    def test_variant_without_grid_defaults_is_among_the_others(self) -> None:
        """A variant that differs in bias alone does not pass for the grid's own."""
        frame = few("none", "standard-r16", "standard-r8").assign(bias=[True, False, True])
        groups = overhead.data(frame).set_index("se")["group"]
        assert groups["standard-r16"] == overhead.OTHERS
        assert groups["standard-r8"] == "standard"

    def test_title_tells_least_and_most(self) -> None:
        """The title names the extremes, with a true minus sign."""
        frame = with_overhead(
            few("none", "standard-r16", "pre-r16"),
            standard_r16=(5.25, 4.5, 6.0), pre_r16=(-0.31, -0.8, 0.2),
        )  # fmt: skip
        written = texts(overhead.draw(overhead.data(frame), "s"))
        assert "SE adds −0.3 to 5.2 % to the time: least pre-r16, most standard-r16" in written


class TestGaps:
    """A failure is seen in every figure that it is missing from."""

    @pytest.mark.parametrize("figure", [overhead, heatmap, pareto, explain, memory])
    def test_failed_trial_is_in_the_data_and_in_the_picture(self, figure: Any) -> None:
        """The status of a crashed trial stands where its value would."""
        data = figure.data(few("none", "post-r2", "post-r4"))
        assert "crashed" in set(data["gap"])
        assert "crashed" in texts(figure.draw(data, "s"))

    def test_number_of_a_failed_trial_is_not_shown(self) -> None:
        """A latency that came with a bad outcome is no latency."""
        frame = few("none", "standard-r8", "standard-r16")
        frame.loc[frame["se"] == "standard-r8", "status"] = "wrong_result"
        data = overhead.data(frame)
        assert list(data["gap"]) == ["wrong_result", ""]
        assert math.isnan(data["overhead_pct"].iloc[0])

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
                "half_width_pct": [1.25, math.nan, math.nan, 0.5],
                "gap": ["", heatmap.NOT_RUN, heatmap.NOT_RUN, ""],
            }
        )
        assert_frame_equal(heatmap.data(frame), expected)

    def test_text_stands_out_from_its_cell(self) -> None:
        """Each number's contrast with its colour is at least 3.8 (WCAG 2.1), all over the map."""
        values = np.linspace(0, 8, 24)
        data = pd.DataFrame(
            {
                "placement": "standard", "reduction": np.arange(1.0, 25.0), "overhead_pct": values,
                "half_width_pct": 0.5, "gap": "",
            }
        )  # fmt: skip
        (axes,) = heatmap.draw(data, "s").axes
        for index, patch in enumerate(axes.patches):
            ink = axes.texts[2 * index].get_color()
            assert contrast(patch.get_facecolor(), ink) >= 3.8


def contrast(one: Any, other: Any) -> float:
    """The contrast ratio of two colours (WCAG 2.1), from 1 to 21."""
    bright = []
    for colour in (one, other):
        part = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        bright.append(float(linear @ (0.2126, 0.7152, 0.0722)))
    return (max(bright) + 0.05) / (min(bright) + 0.05)


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


def overlap(one: Bbox, other: Bbox) -> bool:
    return bool(one.overlaps(other))


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

    def test_title_admits_that_nothing_explains(self) -> None:
        """If no count ranks the variants as the clock does, the title says that."""
        frame = few("none", "standard-r2", "standard-r8", "standard-r32")
        order = {"standard_r2": (1.0,) * 3, "standard_r8": (2.0,) * 3, "standard_r32": (3.0,) * 3}
        frame = with_overhead(frame, **order)
        assert "No count ranks the variants" in texts(explain.draw(explain.data(frame), "s"))


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


class TestDigest:
    def test_digest_does_not_depend_on_row_order_or_number_types(self) -> None:
        """The same values give the same digests, however the table holds them."""
        frame = synthetic()
        shuffled = frame.sample(frac=1, random_state=3).astype(
            {"reduction": float, "params": "Int64", "operators": float, "se": object}
        )
        assert plots.digests(shuffled) == plots.digests(frame)

    @pytest.mark.parametrize(("value", "same"), [(6.00001, False), (6.0000001, True)])
    def test_digest_sees_six_significant_digits(self, value: float, same: bool) -> None:
        """A change in the sixth digit changes it, a change behind that does not."""
        one, other = (
            plots.digest(pd.DataFrame({"overhead_pct": [number]})) for number in (6.0, value)
        )
        assert (one == other) is same

    def test_digest_is_of_canonical_text(self) -> None:
        """The text under the hash: missing is empty, -0 is 0, an integer is a number."""
        data = pd.DataFrame({"a": [-0.0, math.nan], "b": [1, 11_689_512], "c": ["x", math.nan]})
        text = "a,b,c\n0,1,x\n,1.16895e+07,\n"
        assert plots.digest(data) == hashlib.sha256(text.encode()).hexdigest()

    def test_only_figures_whose_data_changed_get_another_digest(self) -> None:
        """Memory does not care for a latency."""
        frame = few("none", "standard-r8", "standard-r16")
        before = plots.digests(frame)
        after = plots.digests(with_overhead(frame, standard_r8=(9.0, 8.0, 10.0)))
        changed = {stem for stem in before if before[stem] != after[stem]}
        assert changed == {"overhead", "heatmap", "explain"}


class TestDraw:
    stems = ("overhead", "heatmap", "pareto", "explain", "memory")

    def test_all_files_are_written(self, whole: tuple[list[Path], Path]) -> None:
        """Each figure is a PNG and an SVG, in a folder made for them, and the list is complete."""
        written, folder = whole
        names = [f"{stem}{suffix}" for stem in self.stems for suffix in (".png", ".svg")]
        assert [path.name for path in written] == [*names, plots.DIGESTS]
        assert sorted(folder.iterdir()) == sorted(written)
        assert all(path.stat().st_size for path in written)

    def test_digests_are_those_of_the_frame(self, whole: tuple[list[Path], Path]) -> None:
        """What is written beside the pictures is what the frame gives without drawing."""
        found = json.loads((whole[1] / plots.DIGESTS).read_text(encoding="ascii"))
        assert found == plots.digests(synthetic())
        assert list(found) == sorted(self.stems)

    def test_same_data_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """Drawn and saved twice, no file differs, no SVG holds a date, matplotlib is as before."""
        frame, before = few("none", "standard-r16", "post-r2"), dict(mpl.rcParams)
        one, other = (tmp_path / name for name in ("one", "other"))
        for folder in (one, other):
            folder.mkdir()
            style.save(overhead.draw(overhead.data(frame), "s"), folder, "overhead")
        for name in ("overhead.png", "overhead.svg"):
            assert (one / name).read_bytes() == (other / name).read_bytes()
        assert b"<dc:date>" not in (one / "overhead.svg").read_bytes()
        assert dict(mpl.rcParams) == before

    def test_several_settings_give_several_files(self) -> None:
        """With two settings each stem carries its setting's key; what has no data is left out."""
        deeper = few("none", "standard-r16-layer4").assign(setting="resnet50@cpu-b8@none+eager")
        frame = pd.concat([few("none", "standard-r16"), deeper])
        shallow = "resnet18-cpu-float32-contiguous-b1-224px-4t-none-eager"
        partial = [stem for stem in self.stems if stem != "heatmap"]
        assert set(plots.digests(frame)) == {f"{stem}-{shallow}" for stem in self.stems} | {
            f"{stem}-resnet50-cpu-b8-none-eager" for stem in partial
        }

    def test_nothing_measured_draws_nothing(self, tmp_path: Path) -> None:
        """An empty frame, and one of failures only, leave nothing but the empty list."""
        failed = few("none", "post-r2").assign(status="oom")
        for frame in (pd.DataFrame(), synthetic().head(0), failed, few("none")):
            assert [path.name for path in plots.draw(frame, tmp_path)] == [plots.DIGESTS]
            assert (tmp_path / plots.DIGESTS).read_text() == "{}\n"

    @pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
    def test_single_variant_is_drawn(self, plot: plots.Plot) -> None:
        """One variant beside its trunk makes every figure."""
        data = plot.data(few("none", "standard-r16"))
        plot.draw(data, "s").draw_without_rendering()

    @pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
    def test_numbers_without_interval_noise_or_trunk_are_drawn(self, plot: plots.Plot) -> None:
        """A table with little in it gives plain figures, not a crash."""
        data = plot.data(
            few("standard-r16", "pre-r16").assign(
                overhead_low_pct=None, overhead_high_pct=None, latency_low_s=None,
                latency_high_s=None, noise_low_pct=None, noise_high_pct=None,
            )
        )  # fmt: skip
        assert data.empty == (plot.name == "memory")  # which needs a trunk to compare with
        if not data.empty:
            plot.draw(data, "s").draw_without_rendering()

    def test_subtitle_tells_machine_and_setting(self) -> None:
        """A picture that is passed on says what it is of."""
        written = texts(overhead.draw(overhead.data(synthetic()), style.subtitle(synthetic())))
        assert (
            "resnet18 · batch 1 · 224 px · float32 · contiguous · cpu, 4 threads · eager" in written
        )
        assert "Intel(R) Xeon(R) Processor @ 2.60GHz" in written

    def test_neither_pyplot_nor_torch_is_imported(self, tmp_path: Path) -> None:
        """Drawing needs no global state of matplotlib's and no torch."""
        frame = tmp_path / "frame.json"
        few("none", "standard-r16").to_json(frame)
        code = (
            "import pathlib, sys, pandas as pd; from bench import plots; "
            "plots.draw(pd.read_json(sys.argv[1]), pathlib.Path(sys.argv[2])); "
            "print([name for name in ('matplotlib.pyplot', 'torch') if name in sys.modules])"
        )
        root = str(Path(str(bench.__file__)).parents[1])
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, frame, tmp_path / "out"],
            env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout.strip() == "[]", done.stderr


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


def overlapping(axes: Axes) -> list[tuple[str, str]]:
    """Neighbouring tick labels that overlap."""
    ticks = axes.get_xticklabels()
    return [
        (one.get_text(), other.get_text())
        for one, other in pairwise(ticks)
        if one.get_window_extent().overlaps(other.get_window_extent())
    ]
