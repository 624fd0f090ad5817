"""A worker on real models: what it answers, and that it refuses to time what is wrong."""

from __future__ import annotations

import io
from pathlib import Path as FilePath

import msgspec
import pytest
import torch
from torch import Tensor, nn

from bench.environment import describe_source
from bench.grid import Grid, plan_blocks
from bench.measure import paths, subject, visit
from bench.measure import worker as worker_module
from bench.measure.allocator import allocator
from bench.measure.failure import failure
from bench.measure.paths.eager import Eager
from bench.measure.reference import disagreement, refer, tolerance
from bench.measure.serving import serve
from bench.measure.timers import WallTimer
from bench.measure.worker import Worker
from bench.protocol import (
    CloseBlock,
    CountTrials,
    MakeReferences,
    MeasureMemory,
    OpenBlock,
    Preparing,
    Ready,
    Reference,
    RunRound,
    decode_reply,
    encode,
)
from bench.record import Block, Counts, Environment, Outcome, Round, select
from bench.trial import Path, Trial, Variant, Workload
from se_models.config import SEConfig

GRID = Grid(placements=("standard", "identity"), reductions=(16,), sizes=(64,))
(BLOCK,) = plan_blocks(GRID.trials())


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker set of the allocator, in place of this process's own being set for good."""
    told: list[str] = []
    monkeypatch.setattr(worker_module, "give_back_free_memory", lambda: told.append("give back"))
    monkeypatch.setattr(visit, "keep_freed_memory", lambda: told.append("keep"))
    return told


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker()


@pytest.fixture(scope="module")
def opening(worker: Worker) -> OpenBlock:
    """The command that opens the block, with what its arms' outputs ought to be."""
    trials = tuple(arm.trial for arm in BLOCK.arms)
    answers = list(select(worker.answer(MakeReferences(trials)), Reference))
    assert tuple(answer.trial for answer in answers) == trials
    return OpenBlock(BLOCK.key, "visit", 7, BLOCK.arms, tuple(answers))


def opened(worker: Worker, command: OpenBlock) -> tuple[Block, list[Outcome]]:
    """The block as it was opened, and what became of arms that do not ride."""
    *others, block = worker.answer(command)
    assert isinstance(block, Block)
    outcomes = [other for other in others if isinstance(other, Outcome)]
    signs = [other for other in others if isinstance(other, Preparing)]
    assert len(signs) + len(outcomes) == len(others)
    # One for each arm before it is prepared; without a trunk none is after it.
    assert [sign.arm for sign in signs] == list(command.arms[: len(signs)])
    assert len(signs) == len(command.arms) or not block.arms
    return block, outcomes


def test_a_visit_measures_every_arm_in_every_round(worker: Worker, opening: OpenBlock) -> None:
    """Block, rounds and outcomes tell the same story; every arm was compared with float64."""
    block, failures = opened(worker, opening)
    assert failures == []
    assert block.arms == BLOCK.arms
    assert block.absent == ()
    assert all(0 < wrong_by < 1e-5 for wrong_by in block.wrong_by)
    assert block.forwards_per_sample == 1
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        (round_,) = worker.answer(RunRound(order))
        assert isinstance(round_, Round)
        assert round_.order == order
        assert all(sample > 0 for sample in round_.samples_s)
        assert sum(round_.samples_s) <= round_.ended_s - round_.started_s
        assert round_.cpu_samples_s is not None
        wall_s = torch.get_num_threads() * (round_.ended_s - round_.started_s)
        assert 0 < sum(round_.cpu_samples_s) < 1.5 * wall_s
        assert min(round_.cpu_samples_s) > 0
    outcomes = list(worker.answer(CloseBlock()))
    assert {outcome.trial for outcome in select(outcomes, Outcome)} == set(GRID.trials())
    assert {outcome.status for outcome in select(outcomes, Outcome)} == {"ok"}
    with pytest.raises(RuntimeError, match="no block is open"):
        next(worker.answer(RunRound((0, 1, 2, 3))))


def test_a_visit_keeps_memory_and_begins_without_what_another_kept(
    worker: Worker, opening: OpenBlock, settings: list[str]
) -> None:
    """Before anything of the block is built, and for every block."""
    for _ in range(2):
        opens = worker.answer(opening)
        assert isinstance(next(opens), Preparing)
        assert settings == ["give back", "keep"]
        settings.clear()


def test_an_arm_without_a_reference_stays_away(worker: Worker, opening: OpenBlock) -> None:
    """What cannot be checked is not timed; without a trunk, nothing is."""
    *others, _ = opening.references
    block, _ = opened(worker, msgspec.structs.replace(opening, references=(*others, None)))
    assert (block.arms, block.absent) == (BLOCK.arms[:-1], BLOCK.arms[-1:])
    block, _ = opened(worker, msgspec.structs.replace(opening, references=(None, *others)))
    assert block.arms == ()


class _Wrong(Eager):
    """An executor that gets SE in the identity branch wrong by a thousandth."""

    def prepare(self, model: nn.Module, example: Tensor) -> paths.Forward:
        right = super().prepare(model, example)
        placements = {getattr(module, "placement", None) for module in model.modules()}
        if "identity" not in placements:
            return right
        return lambda: right() * 1.001


def test_a_timer_may_run_a_forward_to_set_itself(
    worker: Worker, opening: OpenBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of CUDA does, whatever the forward asks of its surroundings."""

    def timer_for(device: str, forward: paths.Forward) -> WallTimer:
        assert torch.is_inference_mode_enabled()
        forward()
        return WallTimer()

    monkeypatch.setattr("bench.measure.visit.timer_for", timer_for)
    block, _ = opened(worker, opening)
    assert block.arms == BLOCK.arms


def test_a_wrong_result_is_never_timed(
    worker: Worker, opening: OpenBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm gets an outcome that says how wrong it is; the others ride."""
    monkeypatch.setattr("bench.measure.visit.executor_of", lambda path, export: _Wrong())
    block, (outcome,) = opened(worker, opening)
    assert (outcome.status, outcome.trial.variant.se.placement) == ("wrong_result", "identity")
    assert "is 0.001, the limit 0.0001" in str(outcome.reason)
    assert [arm.trial.variant.se.placement for arm in block.arms] == ["none", "none", "standard"]
    assert [arm.trial.variant.se.placement for arm in block.absent] == ["identity"]


def test_cuda_without_a_device_is_unsupported(worker: Worker) -> None:
    """What a machine cannot run is an outcome with the reason."""
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    (block,) = plan_blocks(Grid(placements=("none",), devices=("cuda",)).trials())
    reference = Reference(block.arms[0].trial, b"", 0.0)
    command = OpenBlock(block.key, "visit", 7, block.arms, (reference, reference))
    opened_block, (outcome,) = opened(worker, command)
    assert (outcome.status, outcome.reason) == ("unsupported", "torch sees no CUDA device")
    assert opened_block.arms == ()


def opening_by(worker: Worker, path: Path) -> OpenBlock:
    """The command that opens the block of the plain trunk by a path."""
    (block,) = plan_blocks(Grid(placements=("none",), sizes=(64,), paths=(path,)).trials())
    trials = tuple(arm.trial.plain for arm in block.arms)
    references = tuple(select(worker.answer(MakeReferences(trials)), Reference))
    return OpenBlock(block.key, "visit", 7, block.arms, references)


def test_a_fused_path_without_kernels_is_unsupported(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its time and its memory alike, and the reference that would run is not measured."""
    monkeypatch.setattr("bench.measure.paths.missing", lambda device: "no compiler")
    command = opening_by(worker, Path("fused"))
    block, (outcome,) = opened(worker, command)
    assert block.arms == ()
    (weighed,) = worker.answer(MeasureMemory(command.arms[0].trial))
    assert isinstance(weighed, Outcome)
    for told in (outcome, weighed):
        assert told.status == "unsupported"
        assert str(told.reason).endswith("on cpu: no compiler")


def test_an_export_that_is_found_counts_with_what_making_it_took(tmp_path: FilePath) -> None:
    """So the control, which finds its trunk's, takes no less to prepare than the trunk."""
    path = Path(executor="onnxruntime")
    worker = Worker(tmp_path)
    command = opening_by(worker, path)
    reason = paths.unsupported(command.arms[0].trial)
    if reason is not None:
        pytest.skip(reason)
    block, _ = opened(worker, command)
    assert [arm.role for arm in block.arms] == ["trunk", "control", "eager"]
    assert block.arm_prepare_s is not None
    trunk_s, control_s, eager_s = block.arm_prepare_s
    (seconds,) = (float(file.read_text()) for file in tmp_path.glob("*.seconds"))
    assert eager_s < seconds < min(trunk_s, control_s)
    assert block.prepare_s < sum(block.arm_prepare_s)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried ..."), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you ..."), "oom"),
        (ValueError("no such thing\nat all"), "crashed"),
    ],
)
def test_running_out_of_memory_is_told_from_other_failures(error: Exception, status: str) -> None:
    """The reason is the error's type and first line."""
    outcome = failure(GRID.trials()[0], "latency", error)
    assert outcome.status == status
    assert str(outcome.reason).startswith(type(error).__name__)
    assert "\n" not in str(outcome.reason)


def test_a_worker_serves_until_its_input_ends() -> None:
    """It tells its environment, answers each command, and says when it is ready again."""
    trials = (Trial(Variant("resnet18", SEConfig()), Workload(size=64)),)
    replies = io.BytesIO()
    worker = Worker()
    commands = io.BytesIO(encode(CountTrials(trials)))
    serve(worker.environment(), worker.answer, commands, replies)
    environment, ready, counts, ready_again = map(decode_reply, replies.getvalue().splitlines())
    assert isinstance(environment, Environment)
    assert environment.source.fingerprint == describe_source().fingerprint
    assert environment.runtime.torch == torch.__version__
    assert environment.runtime.allocator == allocator()
    assert environment.startup_s > 0
    assert ready == ready_again == Ready()
    assert isinstance(counts, Counts)
    assert counts.se_params == 89_080


def test_a_trial_is_built_the_same_way_each_time() -> None:
    """Two processes measure the same weights and input: they follow from names and seeds."""
    variant = Variant("resnet18", SEConfig())
    with torch.no_grad():
        outputs = [
            subject.build_twin(subject.build_trunk("resnet18"), variant)(
                subject.build_example(Workload(size=64))
            )
            for _ in range(2)
        ]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_every_dtype_and_layout_is_right_within_its_tolerance(dtype: str, layout: str) -> None:
    """The workload's dtype and layout are what the model really runs in."""
    workload = Workload(dtype=dtype, layout=layout, size=64)  # type: ignore[arg-type]
    trunk = subject.Trunks().placed("resnet18", workload)
    example = subject.build_example(workload)
    assert trunk.conv1.weight.dtype == example.dtype == subject.DTYPES[workload.dtype]
    memory_format = subject.MEMORY_FORMATS[workload.layout]
    assert trunk.layer1[0].conv1.weight.is_contiguous(memory_format=memory_format)
    assert example.is_contiguous(memory_format=memory_format)
    trial = Trial(Variant("resnet18", SEConfig()), workload)
    with torch.no_grad():
        twin = subject.build_twin(trunk, trial.variant)
        reference = refer(trial, twin, example)
        wrong_by = disagreement(twin(example), reference)
    assert wrong_by < tolerance(workload, reference) / 2
