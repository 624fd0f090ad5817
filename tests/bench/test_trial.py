"""What can be measured has a stable name, and refuses what makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.trial import TRANSFORMS, Path, Trial, Variant, Workload
from se_models.config import ARCHITECTURES, PLACEMENTS, SEConfig

configs = st.builds(
    SEConfig,
    placement=st.sampled_from(PLACEMENTS),
    reduction=st.integers(1, 64),
    stages=st.sets(st.integers(1, 4), min_size=1).map(tuple),
    blocks=st.one_of(
        st.sampled_from(["all", "last"]), st.sets(st.integers(0, 1), min_size=1).map(tuple)
    ),
    min_hidden=st.integers(1, 64),
    bias=st.booleans(),
)
workloads = st.builds(
    Workload,
    device=st.sampled_from(["cpu", "cuda"]),
    dtype=st.sampled_from(["float32", "float16", "bfloat16"]),
    layout=st.sampled_from(["contiguous", "channels_last"]),
    batch=st.integers(1, 512),
    size=st.integers(1, 512),
    threads=st.integers(1, 128),
)
variants = st.builds(Variant, st.sampled_from(ARCHITECTURES), configs)
trials = st.builds(Trial, variants, workloads)


def test_a_key_is_readable_and_stable() -> None:
    """The key spells out what differs from the default."""
    se = SEConfig("prenorm", 8, stages=(3,), blocks="last", min_hidden=32, bias=False)
    trial = Trial(Variant("resnet18", se), Workload(threads=2))
    assert trial.key == (
        "resnet18/prenorm-r8-layer3-last-min32-nobias@cpu-float32-contiguous-b1-224px-2t@none+eager"
    )


@given(trials, trials)
def test_keys_tell_trials_apart(one: Trial, other: Trial) -> None:
    """Two trials have the same key only if they measure the same; keys are ASCII."""
    same_network = one.variant.se.placement == other.variant.se.placement == "none" and (
        one.variant.architecture == other.variant.architecture
    )
    same = (one.variant == other.variant or same_network) and one.workload == other.workload
    assert (one.key == other.key) == same
    assert one.key.isascii()


@given(trials)
def test_the_trunk_of_a_trial_is_plain_and_in_the_same_setting(trial: Trial) -> None:
    """What a trial is compared with differs from it in nothing but SE."""
    assert trial.trunk.variant.se.placement == "none"
    assert trial.trunk.setting == trial.setting
    assert trial.trunk.trunk == trial.trunk


@pytest.mark.parametrize(
    ("name", "path", "label"),
    [
        ("eager", Path(), "eager"),
        ("none", Path(), "eager"),
        ("folded", Path("folded"), "folded"),
        ("fused", Path("fused"), "fused"),
        ("compile", Path(executor="compile"), "compile"),
        ("fused+compile", Path("fused", "compile"), "fused+compile"),
        ("none+onnxruntime", Path(executor="onnxruntime"), "onnxruntime"),
    ],
)
def test_a_path_has_short_names(name: str, path: Path, label: str) -> None:
    """Its key, its label, and either half alone, name it."""
    assert Path.named(name) == path
    assert path.label == label
    assert Path.named(path.label) == Path.named(path.key) == path


@pytest.mark.parametrize("name", ["", "+", "fused+", "+eager", "eager+fused", "magic"])
def test_other_names_of_paths_are_refused(name: str) -> None:
    """With what there is."""
    with pytest.raises(ValueError, match="must be one of"):
        Path.named(name)


def test_what_is_shared_across_paths() -> None:
    """Counts by transform, fused ones by device, outputs by none; all have one eager trunk."""
    workload = Workload(device="cuda", threads=4)
    trial = Trial(Variant("resnet18", SEConfig()), workload, Path("fused", "compile"))
    for transform in TRANSFORMS:
        by = replace(trial, path=Path(transform, "compile"))
        assert by.counted.path == Path(transform)
        assert by.counted.workload == Workload("cuda" if transform == "fused" else "cpu")
    assert trial.plain.path == Path()
    assert trial.plain.workload == Workload()
    assert trial.eager_trunk == Trial(Variant("resnet18"), workload)


def test_some_paths_call_the_operators_that_were_counted() -> None:
    """Eager ones do, in whatever transform; compilers and runtimes make their own."""
    assert Path().calls_operators
    assert Path("fused").calls_operators
    assert Path(executor="cuda_graph").calls_operators
    for executor in ("compile", "compile_freezing", "onnxruntime", "openvino"):
        assert not Path.named(executor).calls_operators


@given(trials)
def test_counts_depend_on_neither_device_nor_threads(trial: Trial) -> None:
    """Trials that differ in device and threads alone share their counts, but for fused ones."""
    shared = trial.counted
    assert (shared.workload.device, shared.workload.threads) == ("cpu", 1)
    assert shared.variant == trial.variant
    assert shared.counted == shared


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("device", "tpu", "device must be one of cpu, cuda, got 'tpu'"),
        ("dtype", "int8", "dtype must be one of float32, float16, bfloat16, got 'int8'"),
        ("layout", "nhwc", "layout must be one of contiguous, channels_last, got 'nhwc'"),
        ("batch", 0, "batch must be a positive integer, got 0"),
        ("size", 0, "size must be a positive integer, got 0"),
        ("threads", -1, "threads must be a positive integer, got -1"),
        ("threads", True, "threads must be a positive integer, got True"),
    ],
)
def test_a_workload_refuses_what_makes_no_sense(field: str, value: object, rule: str) -> None:
    """The error names the field, the rule and the value."""
    with pytest.raises(ValueError, match=f"^{rule}"):
        Workload(**{field: value})  # type: ignore[arg-type]


def test_unknown_architectures_and_paths_are_refused() -> None:
    """The error names the field, the rule and the value."""
    with pytest.raises(ValueError, match=r"architecture must be one of resnet18, .*'vgg16'"):
        Variant("vgg16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"layer1 of this model has blocks 0 to 2, got 3"):
        Variant("resnet50", SEConfig(blocks=(3,)))
    with pytest.raises(ValueError, match=r"executor must be one of eager, .*, got 'magic'"):
        Path(executor="magic")  # type: ignore[arg-type]
