"""Predictions follow from bytes, arithmetic and launches, and say that they are predictions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.documents.sources import PREDICTED as COMMITTED
from bench.documents.sources import ROOT
from bench.measure import predict
from bench.measure.cubins import ARCHITECTURES
from bench.measure.predict import (
    LAUNCH_S,
    PREDICTED,
    SHORTEST_S,
    Forecast,
    Gpu,
    Reached,
    known_gpus,
    main,
    rows,
)
from bench.measure.works import Work, works_of
from bench.trial import Path as RunPath
from bench.trial import Trial, Variant, Workload
from se_models.config import PLACEMENTS, Architecture, SEConfig

# What fused SE reads at batch 1, in the paper's placement: the elements of all maps that carry it,
# and its weights. A bottleneck's means are taken where a ReLU passes anyway, and its first layer
# is a quarter as large.
READ = {"resnet18": 752_640 + 89_080, "resnet50": 1_257_472 * 5 // 4 + 16_048}


def gpu(bandwidth_gb_s: float = 1000.0, tflops: float = 1000.0) -> Gpu:
    return Gpu("made up", "sm_90", bandwidth_gb_s, tflops, tflops, "nowhere")


def trial(
    architecture: str, placement: str = "none", transform: str = "none", batch: int = 1
) -> Trial:
    variant = Variant(architecture, SEConfig(placement))  # type: ignore[arg-type]
    path = RunPath(transform, "cuda_graph")  # type: ignore[arg-type]
    return Trial(variant, Workload("cuda", "float32", batch=batch), path)


def forecast(trial: Trial, gpu: Gpu, reached: Reached = predict.LIKELY) -> Forecast:
    return predict.forecast(trial, works_of(trial), gpu, reached)


@pytest.mark.parametrize("architecture", READ)
def test_the_floor_is_the_bytes_over_the_bandwidth(architecture: str) -> None:
    """Of what fused SE reads, and its small tensors."""
    base, more = (
        forecast(trial(architecture, placement, "fused"), gpu())
        for placement in ("none", "standard")
    )
    read_bytes = 4 * READ[architecture]
    extra_bytes = (more.floor_s - base.floor_s) * 1e12
    assert read_bytes <= extra_bytes <= 1.03 * read_bytes


def test_a_slow_host_bounds_small_forwards_and_not_large_ones() -> None:
    """By the number of operators in eager; a graph is launched once, and its device bounds it."""
    graphed = trial("resnet18")
    small = forecast(graphed, gpu())
    assert small.host_s == LAUNCH_S
    assert small.latency_s == small.device_s
    launched = forecast(Trial(graphed.variant, graphed.workload), gpu())
    assert launched.latency_s == launched.host_s == pytest.approx(68 * LAUNCH_S)
    large = forecast(trial("resnet18", batch=256), gpu())
    assert large.latency_s == large.device_s
    assert large.device_s > 100 * small.floor_s


def test_slower_memory_or_arithmetic_takes_longer() -> None:
    """Each by itself, and no operator is over sooner than a kernel can be."""
    base = forecast(trial("resnet50", batch=64), gpu()).device_s
    assert forecast(trial("resnet50", batch=64), gpu(bandwidth_gb_s=100)).device_s > 2 * base
    assert forecast(trial("resnet50", batch=64), gpu(tflops=10)).device_s > 2 * base
    endless = forecast(trial("resnet18"), gpu(1e9, 1e9))
    assert endless.device_s == pytest.approx(68 * SHORTEST_S)


def test_lower_shares_take_longer_by_as_much() -> None:
    """Where one rate alone binds every operator."""
    moving, computing = gpu(bandwidth_gb_s=1), gpu(tflops=0.01, bandwidth_gb_s=1e9)
    wide = trial("resnet18", batch=8)
    for share, made_up in (("bandwidth", moving), ("arithmetic", computing)):
        half, full = (
            forecast(wide, made_up, Reached(**{share: reached})).device_s for reached in (0.5, 1)
        )
        assert half == pytest.approx(2 * full, rel=0.02)


def test_an_excitation_reads_its_weights_for_every_two_images() -> None:
    """And where blocks share an image, its means for each, and what each has left."""
    found = [work for work in works_of(trial("resnet18", "standard", "fused", 8)) if work.is_wide]
    # C and hidden units of the four stages, two blocks each; eight units to a thread block.
    stages = ((64, 4, 1), (128, 8, 1), (256, 16, 2), (512, 32, 4))
    expected = []
    for channels, hidden, chunks in stages:
        weights = 3 * 2 * channels * hidden * 4
        means = (chunks - 1) * 8 * channels * 4
        sums = 2 * chunks * 8 * channels * 4 if chunks > 1 else 0
        expected += [weights + means + sums] * 2
    assert [work.again_bytes for work in found] == expected
    one = [work for work in works_of(trial("resnet18", "standard", "fused")) if work.is_wide]
    assert one[0].again_bytes == 0


def test_what_is_read_again_takes_time_and_is_no_part_of_the_floor() -> None:
    """The floor is what any kernel must move."""
    made = trial("resnet18")
    once, twice = (predict.forecast(made, [Work(10**9, 0, again)], gpu()) for again in (0, 10**9))
    assert twice.floor_s == once.floor_s
    assert twice.device_s == pytest.approx(2 * once.device_s)


def test_excitations_run_at_the_rate_of_float32() -> None:
    """Whatever maps hold: no tensor core multiplies for them."""
    made = Trial(Variant("resnet18"), Workload("cuda", "float16"), RunPath("fused"))
    slow = Gpu("made up", "sm_90", 1000, 1, 1000, "nowhere")
    narrow, wide = (
        predict.forecast(made, [Work(0, 10**12, is_wide=is_wide)], slow).device_s
        for is_wide in (False, True)
    )
    assert wide == pytest.approx(1000 * narrow)


def test_code_of_a_compiler_is_not_predicted() -> None:
    """Nobody knows its operators."""
    compiled = Trial(Variant("resnet18"), Workload("cuda"), RunPath(executor="compile"))
    with pytest.raises(ValueError, match="path must be eager or cuda_graph, got compile"):
        forecast(compiled, gpu())


def test_every_placement_has_a_row_by_every_path() -> None:
    """The trunk first; SE costs something everywhere, and less when fused."""
    found = pd.DataFrame(rows([gpu()], ["resnet18"], [8], ["float16"]))
    assert len(found) == 4 * len(PLACEMENTS)
    trunks = found[found["placement"] == "none"]
    assert (trunks["predicted_overhead_pct"] == 0).all()
    standard = found[found["placement"] == "standard"].set_index("path")["predicted_overhead_pct"]
    assert 0 < standard["fused+cuda_graph"] < standard["cuda_graph"]
    assert (found["predicted_overhead_low_pct"] <= found["predicted_overhead_pct"] + 1e-9).all()
    assert (found["predicted_overhead_pct"] <= found["predicted_overhead_high_pct"] + 1e-9).all()


def test_predictions_are_those_that_are_committed() -> None:
    """By the present model, of ResNet-18."""
    _check_committed(["resnet18"])


@pytest.mark.slow
def test_all_predictions_are_those_that_are_committed() -> None:
    """Of the other networks too."""
    _check_committed(None)


def _check_committed(architectures: list[Architecture] | None) -> None:
    committed = pd.read_csv(ROOT / COMMITTED)
    shown = {
        name: committed[name].drop_duplicates().tolist()
        for name in ("gpu", "architecture", "batch", "dtype")
    }
    chosen = architectures or shown["architecture"]
    gpus = [known_gpus()[name] for name in shown["gpu"]]
    found = pd.DataFrame(rows(gpus, chosen, shown["batch"], shown["dtype"]))
    kept = committed[committed["architecture"].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, kept, rtol=1e-9)


def test_columns_say_what_is_predicted() -> None:
    """All but those that say of which GPU and trial a row is."""
    (first, *_) = rows([gpu()], ["resnet18"], [1], ["float16"])
    asked = {"gpu", "architecture", "dtype", "batch", "path", "placement"}
    assert {name for name in first if not name.startswith("predicted_")} == asked
    assert all(name.endswith(("_s", "_pct")) for name in set(first) - asked)


def test_the_command_says_that_it_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves what it shows as CSV."""
    arguments = [
        "--gpu",
        "T4",
        "--architecture",
        "resnet18",
        "--batch",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("PREDICTED, not measured")
    assert set(pd.read_csv(tmp_path / PREDICTED)["gpu"]) == {"T4"}


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As head: no word on stderr, and the exit code is that of success."""
    command = [sys.executable, "-m", "bench.measure.predict", "--gpu", "T4", "--batch", "1",
               "--architecture", "resnet18"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_range_of_no_width_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Where launches bound a forward no share matters, and the same number twice looks certain."""
    for batch in ("1", "256"):
        assert main(["--gpu", "RTX 3090", "--architecture", "resnet18", "--batch", batch]) == 0
    shown = capsys.readouterr().out
    assert "A dash stands where no share matters" in shown
    small, large = (
        line for line in shown.splitlines() if " eager " in line and " standard " in line
    )
    assert small.endswith(" -")
    assert " to " in large


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RTX 3090", "RTX 4090"])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "resnet101"])
def test_the_batch_that_is_published_changes_little(name: str, architecture: Architecture) -> None:
    """As the page says of 1,024 images in the place of 256."""

    def overhead_pct(batch: int) -> float:
        plain, ours = (
            Trial(Variant(architecture, SEConfig(each)), Workload("cuda", "float16", batch=batch),
                  RunPath())
            for each in ("none", "standard")
        )  # fmt: skip
        took_s = [forecast(each, known_gpus()[name]).latency_s for each in (plain, ours)]
        return 100 * (took_s[1] / took_s[0] - 1)

    assert abs(overhead_pct(1024) - overhead_pct(256)) < 0.3
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert "changes by less than 0.3 percentage points" in page


@pytest.mark.parametrize("batch", ["0", "-3", "1.5"])
def test_a_batch_is_a_positive_integer(batch: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, before anything is predicted."""
    with pytest.raises(SystemExit) as end:
        main(["--gpu", "H100", f"--batch={batch}"])
    assert end.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(f"argument --batch: must be a positive integer, got '{batch}'")


def test_a_folder_that_cannot_be_made_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and the exit code is 2."""
    monkeypatch.setattr(predict, "works_of", None)
    (tmp_path / "file").touch()
    assert main(["--gpu", "T4", "--out", str(tmp_path / "file" / "folder")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m bench predict: error: [Errno")


def test_bfloat16_is_refused_where_no_tensor_core_knows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is predicted of other GPUs."""
    monkeypatch.setattr(predict, "works_of", None)
    assert main(["--gpu", "A100-80GB", "--gpu", "T4", "--dtype", "bfloat16"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bfloat16 must be of sm_80 or newer, whose tensor cores know it, got T4 (sm_75)" in line


def test_all_gpus_are_those_that_compute_in_the_dtype(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the default is refused in no dtype."""
    monkeypatch.setattr(predict, "works_of", lambda _trial: [Work(1, 1)])
    for dtype, is_there in (("float32", True), ("float16", True), ("bfloat16", False)):
        assert main(["--dtype", dtype, "--out", str(tmp_path)]) == 0
        found = set(pd.read_csv(tmp_path / PREDICTED)["gpu"])
        assert set(known_gpus()) - found == (set() if is_there else {"T4"})
        # TF32 is left out, which is told where it matters.
        assert ("without TF32" in capsys.readouterr().out) == (dtype == "float32")


def test_published_rates_have_a_source() -> None:
    """For each GPU, and the architectures are those that kernels are compiled for."""
    for each in known_gpus().values():
        assert each.source.startswith("NVIDIA ")
        assert each.architecture in ARCHITECTURES
        assert 0 < each.float32_tflops < each.half_tflops
