"""A visit: one worker's stay with one block, from building its arms to the last round."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence

import torch

from bench.measure import subject
from bench.measure.failure import failure
from bench.measure.latency import Rounds
from bench.measure.paths import Forward, executor_of
from bench.measure.timers import timer_for
from bench.protocol import OpenBlock
from bench.record import Arm, Block, Outcome, Round


class Visit:
    """The arms that ride, prepared independently of one another on one trunk's tensors."""

    def __init__(self, command: OpenBlock, trunks: subject.Trunks) -> None:
        self._command = command
        self._trunks = trunks
        self._riding: list[Arm] = []
        self._rounds: Rounds | None = None

    def open(self, worker: str) -> Iterator[Outcome | Block]:
        """Prepare every arm: an Outcome for each that fails, then the Block of those that ride."""
        started = time.perf_counter()
        workload = self._command.arms[0].trial.workload
        torch.set_num_threads(workload.threads)
        forwards: list[Forward] = []
        for arm in self._command.arms:
            prepared = self._prepare(arm)
            if isinstance(prepared, Outcome):
                yield prepared
                if arm.role == "trunk":
                    break  # the others would have nothing to be paired with
            else:
                forwards.append(prepared)
                self._riding.append(arm)
        if forwards:
            timer = timer_for(workload.device, forwards[0])
            self._rounds = Rounds(self._command.visit, forwards, timer)
        gc.collect()
        yield Block(
            block=self._command.block,
            visit=self._command.visit,
            worker=worker,
            seed=self._command.seed,
            arms=tuple(self._riding),
            absent=tuple(arm for arm in self._command.arms if arm not in self._riding),
            prepare_s=time.perf_counter() - started,
        )

    def run(self, order: Sequence[int]) -> Round:
        if self._rounds is None:
            raise RuntimeError("a round was asked for, but no arm of the block could be prepared")
        return self._rounds.run(order)

    def close(self) -> Iterator[Outcome]:
        for arm in self._riding:
            if arm.role != "control":
                yield Outcome(arm.trial, "latency", "ok", visit=self._command.visit)

    @torch.no_grad()
    def _prepare(self, arm: Arm) -> Forward | Outcome:
        """The arm's forward, checked against float64; or why there is none."""
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
            wrong_by = subject.disagreement(forward(), twin, example)
        except Exception as error:
            return failure(trial, "latency", error, visit)
        limit = subject.tolerance(trial)
        if wrong_by > limit:
            reason = f"max|a-b|/max|b| against float64 is {wrong_by:.2g}, the limit {limit:.2g}"
            return Outcome(trial, "latency", "wrong_result", reason, visit)
        return forward
