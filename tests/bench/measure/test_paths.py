"""Every way of executing a model computes the same, or says why this machine cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch

from bench.measure import subject
from bench.measure.paths import executor_of, transformed, unsupported
from bench.measure.paths.compiled import Compile
from bench.measure.paths.export import export_of
from bench.measure.reference import disagreement, refer
from bench.trial import TRANSFORMS, Path, Trial, Variant, Workload
from se_models.config import SEConfig
from se_models.fused import FoldedResNet, FusedResNet

SMALL = Workload(size=64)
PATHS = [
    Path(),
    Path("folded"),
    Path("fused"),
    Path(executor="onnxruntime"),
    Path(executor="openvino"),
    pytest.param(Path(executor="compile"), marks=pytest.mark.slow),
    pytest.param(Path(executor="compile_freezing"), marks=pytest.mark.slow),
    pytest.param(Path("fused", "compile"), marks=pytest.mark.slow),
    pytest.param(Path("fused", "compile_freezing"), marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trial(
    path: Path,
    placement: Any = "standard",
    workload: Workload = SMALL,
    architecture: Any = "resnet18",
) -> Trial:
    return Trial(Variant(architecture, SEConfig(placement)), workload, path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A folder of exports, each of which takes seconds to make."""
    return tmp_path_factory.mktemp("kept")


def prepared(of: Trial, trunks: subject.Trunks, kept: FilePath) -> Any:
    model, example = subject.build(of, trunks)
    executor = executor_of(of.path, export_of(of, kept))
    with torch.no_grad():
        return executor.prepare(transformed(model, of.path.transform), example)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.key)
def test_a_path_computes_what_eager_does(path: Path, kept: FilePath) -> None:
    """The trunk, its control and a variant, each prepared by itself; again and again."""
    reason = unsupported(trial(path))
    if reason is not None:
        pytest.skip(reason)
    trunks = subject.Trunks()
    arms = [trial(path, "none"), trial(path, "none"), trial(path, "post")]
    references = [refer(arm.plain, *subject.build(arm.plain, trunks)) for arm in arms]
    forwards = [prepared(arm, trunks, kept) for arm in arms]
    assert len(set(map(id, forwards))) == 3
    with torch.inference_mode():
        for _ in range(2):
            for forward, reference in zip(forwards, references, strict=True):
                assert disagreement(forward(), reference) < 1e-5
        # The wrong reference shows that the comparison sees SE at all.
        assert disagreement(forwards[2](), references[0]) > 1e-3


@pytest.mark.parametrize("placement", ["standard", "pre"])
@pytest.mark.parametrize(
    "path",
    [
        Path("fused"),
        pytest.param(Path("folded"), marks=pytest.mark.slow),
        pytest.param(Path(executor="onnxruntime"), marks=pytest.mark.slow),
        pytest.param(Path(executor="openvino"), marks=pytest.mark.slow),
    ],
    ids=lambda path: path.key,
)
def test_a_path_computes_bottlenecks_too(path: Path, placement: Any, kept: FilePath) -> None:
    """To the same 1e-5, though there are three times as many layers to round in."""
    of = trial(path, placement, architecture="resnet50")
    reason = unsupported(of)
    if reason is not None:
        pytest.skip(reason)
    trunks = subject.Trunks()
    reference = refer(of.plain, *subject.build(of.plain, trunks))
    forward = prepared(of, trunks, kept)
    with torch.inference_mode():
        for _ in range(2):
            assert disagreement(forward(), reference) < 1e-5


def test_a_path_makes_the_twin_that_it_names() -> None:
    """And keeps no more of the model than it needs."""
    model, _ = subject.build(trial(Path()), subject.Trunks())
    assert transformed(model, "none") is model
    twins = {"folded": FoldedResNet, "fused": FusedResNet}
    for transform in TRANSFORMS[1:]:
        twin = transformed(model, transform)
        assert type(twin) is twins[transform]
        with pytest.raises(RuntimeError, match="keep_state=False"):
            twin.state_dict()


@pytest.mark.parametrize(
    ("path", "changes", "told"),
    [
        (Path("fused", "onnxruntime"), {}, "the fused operators exist in torch alone"),
        (Path("folded", "openvino"), {}, "this runtime folds BatchNorm by itself"),
        (Path(executor="onnxruntime"), {"dtype": "bfloat16"}, "float32 alone, not for bfloat16"),
        (Path(executor="openvino"), {"layout": "channels_last"}, "chooses its layouts itself"),
        (Path(executor="onnxruntime"), {"device": "cuda"}, "the CPU alone, not for cuda"),
        (Path(executor="cuda_graph"), {}, "CUDA graphs are for CUDA devices"),
    ],
)
def test_what_a_path_cannot_do_has_a_reason(path: Path, changes: dict[str, Any], told: str) -> None:
    """Which names what it would need."""
    assert told in str(unsupported(trial(path, workload=replace(SMALL, **changes))))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("missing", ["onnxruntime", "openvino", "onnxscript"])
def test_a_missing_package_is_a_reason(
    name: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it, be it the runtime's or the exporter's."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: wanted != missing or None)
    reason = unsupported(trial(Path(executor=name)))
    if missing not in (name, "onnxscript"):
        assert reason is None
        return
    extra = "openvino" if missing == "openvino" else "onnx"
    told = f"the package {missing} is not installed: pip install 'se-bench[{extra}]'"
    assert reason == told


def test_a_missing_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name that the environment gives it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    path = Path(executor="compile")
    assert unsupported(trial(path)) == "torch.compile needs the C++ compiler g++"
    monkeypatch.setenv("CXX", "clang++")
    assert str(unsupported(trial(path))).endswith("clang++")


def test_missing_kernels_are_a_reason_for_fused_paths_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What plain PyTorch computes in their place is not timed as if it were they."""
    monkeypatch.setattr("bench.measure.paths.missing", lambda device: f"no way on {device}")
    assert unsupported(trial(Path("fused"))) == (
        "there are no kernels for fused blocks on cpu: no way on cpu"
    )
    assert unsupported(trial(Path())) is unsupported(trial(Path("folded"))) is None


def test_arms_share_no_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each forward that is compiled has a code object of its own, and computes its own model."""
    seen: list[Any] = []

    def compile_nothing(function: Any, **_: object) -> Any:
        seen.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    for factor in (2.0, 3.0):
        assert compiled_factor(factor, freezing=False)[1]().item() == factor
    assert seen[0].__code__ is not seen[1].__code__
    assert seen[0].__code__.co_name != seen[1].__code__.co_name


def compiled_factor(factor: float, *, freezing: bool) -> tuple[torch.nn.Linear, Any]:
    """A model that multiplies, and its compiled forward of 1."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, factor)
    with torch.no_grad():
        return model, Compile(freezing=freezing).prepare(model, torch.ones(1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("freezing", [False, True])
def test_freezing_makes_constants_of_weights_and_nothing_else_does(freezing: bool) -> None:
    """What becomes of a weight later reaches a forward only if it was not frozen.

    And equal models, whose code is found compiled, have weights of their own.
    """
    arms = [compiled_factor(2.0, freezing=freezing) for _ in range(2)]
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    with torch.inference_mode():
        assert [forward().item() for _, forward in arms] == [2.0, 2.0]
        arms[0][0].weight.fill_(3.0)
        assert [forward().item() for _, forward in arms] == [2.0 if freezing else 3.0, 2.0]
    # What was compiled as it was prepared serves in the mode in which rounds run.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_idle_pools_sleep(name: Any, kept: FilePath) -> None:
    """Between forwards a runtime's threads take next to no CPU, which is another arm's then.

    Told to spin on, onnxruntime's would take some 25 ms of it behind each.
    """
    path = Path(executor=name)
    reason = unsupported(trial(path))
    if reason is not None:
        pytest.skip(reason)
    cpus = os.sched_getaffinity(0)
    torch.set_num_threads(2)
    try:
        forward = prepared(trial(path, "post"), subject.Trunks(), kept)
    finally:
        torch.set_num_threads(1)
    for _ in range(3):
        forward()
    taken_s = []
    for _ in range(5):
        forward()
        cpu_s = time.process_time()
        time.sleep(0.1)
        taken_s.append(time.process_time() - cpu_s)
    assert min(taken_s) < 5e-3
    assert os.sched_getaffinity(0) == cpus  # nor does it bind this thread, which other arms run on
