"""A visit: one worker's stay with one block, from building its arms to the last round."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bench.measure import subject
from bench.measure.failure import failure
from bench.measure.latency import Rounds
from bench.measure.paths import Forward, executor_of
from bench.measure.timers import timer_for
from bench.protocol import OpenBlock
from bench.record import Arm, Block, Outcome, Round


@dataclass(frozen=True)
class Rider:
    """An arm that is ready to run."""

    arm: Arm
    forward: Forward
    wrong_by: float | None


class Visit:
    """The arms that ride, prepared independently of one another on one trunk's tensors."""

    def __init__(self, command: OpenBlock, trunks: subject.Trunks) -> None:
        self._command = command
        self._trunks = trunks
        self._riders: list[Rider] = []
        self._rounds: Rounds | None = None

    def open(self, worker: str) -> Iterator[Outcome | Block]:
        """Prepare every arm: an Outcome for each that fails, then the Block of those that ride."""
        started = time.perf_counter()
        command = self._command
        workload = command.arms[0].trial.workload
        torch.set_num_threads(workload.threads)
        for arm in command.arms:
            prepared = self._prepare(arm)
            if isinstance(prepared, Outcome):
                yield prepared
                if arm.role == "trunk":
                    break  # the others would have nothing to be paired with
            else:
                self._riders.append(prepared)
        if self._riders:
            forwards = [rider.forward for rider in self._riders]
            self._rounds = Rounds(command.visit, forwards, timer_for(workload.device, forwards[0]))
        gc.collect()
        riding = tuple(rider.arm for rider in self._riders)
        yield Block(
            block=command.block,
            visit=command.visit,
            worker=worker,
            seed=command.seed,
            arms=riding,
            absent=tuple(arm for arm in command.arms if arm not in riding),
            wrong_by=tuple(rider.wrong_by for rider in self._riders),
            prepare_s=time.perf_counter() - started,
        )

    def run(self, order: Sequence[int]) -> Round:
        if self._rounds is None:
            raise RuntimeError("a round was asked for, but no arm of the block could be prepared")
        return self._rounds.run(order)

    def close(self) -> Iterator[Outcome]:
        for rider in self._riders:
            if rider.arm.role != "control":
                yield Outcome(rider.arm.trial, "latency", "ok", visit=self._command.visit)

    @torch.no_grad()
    def _prepare(self, arm: Arm) -> Rider | Outcome:
        """The arm, built and checked; or why it cannot ride."""
        trial, visit = arm.trial, self._command.visit
        executor = executor_of(trial.path)
        reason = executor.unsupported(trial)
        if reason is not None:
            return Outcome(trial, "latency", "unsupported", reason, visit)
        try:
            trunk = self._trunks.placed(trial.variant.architecture, trial.workload)
            twin = subject.build_twin(trunk, trial.variant)
            example = subject.build_example(trial.workload)
            forward = executor.prepare(twin, example)
            if arm not in self._command.unchecked:
                return Rider(arm, forward, wrong_by=None)
            wrong_by = subject.disagreement(forward(), twin, example)
        except Exception as error:
            return failure(trial, "latency", error, visit)
        limit = subject.tolerance(trial)
        if wrong_by > limit:
            reason = f"max|a-b|/max|b| against float64 is {wrong_by:.2g}, the limit {limit:.2g}"
            return Outcome(trial, "latency", "wrong_result", reason, visit)
        return Rider(arm, forward, wrong_by)
