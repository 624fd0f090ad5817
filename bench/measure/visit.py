"""A visit: one worker's stay with one block, from building its arms to the last round."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.measure import subject
from bench.measure.allocator import keep_freed_memory
from bench.measure.failure import failure
from bench.measure.latency import Rounds
from bench.measure.paths import Forward, executor_of, transformed, unsupported
from bench.measure.paths.compiled import keep_code_in
from bench.measure.paths.export import export_of
from bench.measure.reference import disagreement, tolerance
from bench.measure.timers import CudaEventTimer, Timer, WallTimer, timer_for
from bench.protocol import OpenBlock, Preparing, Reference
from bench.record import Arm, Block, Outcome, Round
from bench.trial import Trial
from se_models.fused.kernels import build_s

# Of what host and device take apart: what disturbs either makes it longer.
_TRIES = 5


@dataclass(frozen=True)
class Rider:
    """An arm that is ready to run, and has run once."""

    arm: Arm
    forward: Forward
    wrong_by: float
    prepare_s: float


class Visit:
    """The arms that ride, prepared independently of one another on one trunk's tensors.

    Args:
        command: which arms.
        trunks: what they are built on.
        kept: the folder of exports and compiled code that the workers of a run share, or
            None to keep none.
    """

    def __init__(
        self, command: OpenBlock, trunks: subject.Trunks, kept: Path | None = None
    ) -> None:
        self._command = command
        self._trunks = trunks
        self._kept = kept
        self._riders: list[Rider] = []
        self._rounds: Rounds | None = None

    def open(self, worker: str) -> Iterator[Preparing | Outcome | Block]:
        """Prepare every arm: an Outcome for each that fails, then the Block of those that ride."""
        started = time.perf_counter()
        command = self._command
        workload = command.arms[0].trial.workload
        torch.set_num_threads(workload.threads)
        keep_freed_memory()
        if self._kept is not None:
            keep_code_in(self._kept / "compiled", threads=workload.threads)
        for arm, reference in zip(command.arms, command.references, strict=True):
            yield Preparing(arm)
            prepared = None if reference is None else self._prepare(arm, reference)
            if isinstance(prepared, Rider):
                self._riders.append(prepared)
                continue
            if prepared is not None:
                yield prepared
            if arm.role == "trunk":
                break  # the others would have nothing to be paired with
        timer: Timer = WallTimer()
        if self._riders:
            forwards = [rider.forward for rider in self._riders]
            with torch.inference_mode():  # it may run a forward to set itself
                timer = timer_for(workload.device, forwards[0])
            self._rounds = Rounds(command.visit, forwards, timer)
        gc.collect()
        host_s, device_s = self._apart(timer)
        riding = tuple(rider.arm for rider in self._riders)
        yield Block(
            block=command.block,
            visit=command.visit,
            worker=worker,
            seed=command.seed,
            arms=riding,
            absent=tuple(arm for arm in command.arms if arm not in riding),
            wrong_by=tuple(rider.wrong_by for rider in self._riders),
            arm_prepare_s=tuple(rider.prepare_s for rider in self._riders),
            arm_host_s=host_s,
            arm_device_s=device_s,
            forwards_per_sample=timer.forwards,
            prepare_s=time.perf_counter() - started,
        )

    @torch.inference_mode()
    def _apart(self, timer: Timer) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
        """What each forward takes of the host and of the device, by the least of a few tries."""
        if not isinstance(timer, CudaEventTimer):
            return None, None
        forwards = [rider.forward for rider in self._riders]
        return (
            tuple(min(timer.host_s(each) for _ in range(_TRIES)) for each in forwards),
            tuple(min(timer.device_s(each) for _ in range(_TRIES)) for each in forwards),
        )

    def run(self, order: Sequence[int]) -> Round:
        if self._rounds is None:
            raise RuntimeError("a round was asked for, but no arm of the block could be prepared")
        return self._rounds.run(order)

    def close(self) -> Iterator[Outcome]:
        for rider in self._riders:
            if rider.arm.role in ("trunk", "variant"):
                yield Outcome(rider.arm.trial, "latency", "ok", visit=self._command.visit)

    def _prepare(self, arm: Arm, reference: Reference) -> Rider | Outcome:
        """The arm, built and checked by the forward that is timed; or why it cannot ride."""
        trial, visit = arm.trial, self._command.visit
        reason = unsupported(trial)
        if reason is not None:
            return Outcome(trial, "latency", "unsupported", reason, visit)
        export = export_of(trial, self._kept)
        executor = executor_of(trial.path, export)
        try:
            model, example = subject.build(trial, self._trunks)
            started = time.perf_counter()
            with torch.no_grad():
                transform = trial.path.transform
                forward = executor.prepare(transformed(model, transform), example)
            with torch.inference_mode():
                output = forward()
            prepare_s = time.perf_counter() - started + export.spared_s + _spared_s(trial)
            wrong_by = disagreement(output, reference)
        except Exception as error:
            return failure(trial, "latency", error, visit)
        limit = tolerance(trial.workload, reference)
        if wrong_by > limit:
            reason = f"max|a-b|/max|b| against float64 is {wrong_by:.2g}, the limit {limit:.2g}"
            return Outcome(trial, "latency", "wrong_result", reason, visit)
        return Rider(arm, forward, wrong_by, prepare_s)


def _spared_s(trial: Trial) -> float:
    """What building kernels took when it was done, which every process finds built."""
    return build_s(trial.workload.device) if trial.path.transform == "fused" else 0.0
