"""What is written repeats, and is found stale when its data change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest

import bench
from bench import plots
from bench.plots import overhead, style
from tests.bench.plots.synthetic import (
    few,
    synthetic,
    texts,
    with_overhead,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Everything drawn once from the whole synthetic table, and where."""
    folder = tmp_path_factory.mktemp("plots") / "new"
    return plots.draw(synthetic(), folder), folder


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
            plots.digest(pd.DataFrame({"overhead_pct": [number]}), "t", "s")
            for number in (6.0, value)
        )
        assert (one == other) is same

    def test_digest_is_of_canonical_text(self) -> None:
        """The text under the hash: missing is empty, -0 is 0, an integer is a number."""
        data = pd.DataFrame({"a": [-0.0, math.nan], "b": [1, 11_689_512], "c": ["x", math.nan]})
        text = "title\nsubtitle\na,b,c\n0,1,x\n,1.16895e+07,\n"
        assert plots.digest(data, "title", "subtitle") == hashlib.sha256(text.encode()).hexdigest()

    @pytest.mark.parametrize("column", ["machine", "threads", "dtype"])
    def test_another_machine_or_setting_changes_every_digest(self, column: str) -> None:
        """A picture that names another machine is stale, though its numbers are the same."""
        frame = few("none", "standard-r8", "standard-r16")
        before, after = plots.digests(frame), plots.digests(frame.assign(**{column: 8}))
        assert not before.items() & after.items()
        assert list(before) == list(after)

    @pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
    def test_another_rule_for_a_title_changes_the_digest(
        self, plot: plots.Plot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A picture that claims what the suite would claim no more is stale."""
        frame = few("none", "standard-r8", "standard-r16")
        before = plots.digests(frame)
        renamed = dataclasses.replace(plot, title=lambda _: "SE is free")
        monkeypatch.setattr(plots, "PLOTS", (renamed,))
        assert plots.digests(frame)[plot.name] != before[plot.name]

    @pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
    def test_the_title_under_the_digest_is_the_one_that_is_drawn(self, plot: plots.Plot) -> None:
        """What the digest covers and what the picture says cannot part."""
        data = plot.data(synthetic())
        assert plot.title(data) in texts(plot.draw(data, "s"))

    def test_only_figures_whose_data_changed_get_another_digest(self) -> None:
        """Memory does not care for a latency."""
        frame = few("none", "standard-r8", "standard-r16")
        before = plots.digests(frame)
        after = plots.digests(with_overhead(frame, standard_r8=(9.0, 8.0, 10.0)))
        changed = {stem for stem in before if before[stem] != after[stem]}
        assert changed == {"overhead", "heatmap", "explain", "pareto"}


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
        shallow = "resnet18-cpu-float32-contiguous-b1-224px-4t"
        partial = [stem for stem in self.stems if stem != "heatmap"]
        assert set(plots.digests(frame)) == {f"{stem}-{shallow}" for stem in self.stems} | {
            f"{stem}-resnet50-cpu-b8" for stem in partial
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

    def test_subtitle_of_a_gpu_says_that_its_cache_is_warm(self) -> None:
        """No other does."""
        on_gpu = style.subtitle(synthetic().assign(device="cuda")).replace(
            "\N{NO-BREAK SPACE}", " "
        )
        assert "warm L2 cache" in on_gpu
        assert "warm" not in style.subtitle(synthetic())

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


def test_a_figure_that_is_drawn_no_more_is_removed(tmp_path: Path) -> None:
    """With a second setting the names change, and no old picture stays beside the new ones."""
    frame = few("none", "standard-r8", "standard-r16")
    plots.draw(frame, tmp_path)
    (tmp_path / "mine.png").touch()
    plots.draw(pd.concat([frame, frame.assign(setting="another@setting")]), tmp_path)
    assert not (tmp_path / "overhead.png").exists()
    assert not (tmp_path / "overhead.svg").exists()
    assert (tmp_path / "mine.png").exists()
    assert len(list(tmp_path.glob("overhead-*.png"))) == 2
