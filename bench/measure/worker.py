"""The process that builds and measures, driven over its pipes.

Its command is ``python -m bench.measure.worker``, with ``--keep DIR`` to share with
the workers that follow what is exported and compiled.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from bench.environment import Runtime, describe_machine, describe_source
from bench.measure import subject
from bench.measure.allocator import allocator
from bench.measure.counts import count
from bench.measure.failure import failure
from bench.measure.memory import measure_memory
from bench.measure.paths import unsupported
from bench.measure.pipes import own_output
from bench.measure.reference import refer
from bench.measure.resident import give_back_free_memory
from bench.measure.serving import serve
from bench.measure.visit import Visit
from bench.protocol import (
    Answer,
    CloseBlock,
    Command,
    CountTrials,
    MakeReferences,
    MeasureMemory,
    OpenBlock,
    RunRound,
)
from bench.record import Environment, Outcome, Record
from bench.trial import Trial


class Worker:
    """Answers commands; between them it holds trunks and the open visit, and does nothing.

    Args:
        kept: the folder of exports and compiled code that the workers of a run share, or
            None to keep none.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self.name = uuid.uuid4().hex[:12]
        self._kept = kept
        self._trunks = subject.Trunks()
        self._visit: Visit | None = None

    def environment(self) -> Environment:
        """This machine, and how long this process took to be ready."""
        return Environment(
            worker=self.name,
            machine=describe_machine(),
            source=describe_source(),
            runtime=_describe_runtime(),
            startup_s=time.time() - psutil.Process().create_time(),
        )

    def answer(self, command: Command) -> Iterator[Answer]:
        """The answers that a command asks for, each as soon as it is there."""
        match command:
            case CountTrials():
                yield from self._count(command.trials)
            case MeasureMemory():
                yield self._memory(command.trial)
            case MakeReferences():
                yield from self._references(command.trials)
            case OpenBlock():
                self._visit = None  # frees the arms of the block before
                give_back_free_memory()  # each block begins with as little
                self._visit = Visit(command, self._trunks, self._kept)
                yield from self._visit.open(self.name)
            case RunRound():
                yield self._open_visit().run(command.order)
            case CloseBlock():
                yield from self._open_visit().close()
                self._visit = None

    def _count(self, trials: tuple[Trial, ...]) -> Iterator[Record]:
        torch.set_num_threads(1)  # several workers count at once, and threads help tracing little
        for trial in trials:
            try:
                with _garbage_kept():
                    counts = count(trial, subject.build_shapes(trial.variant))
                yield counts
            except Exception as error:
                yield failure(trial, "counts", error)

    def _references(self, trials: tuple[Trial, ...]) -> Iterator[Answer]:
        torch.set_num_threads(1)  # several workers compute at once
        for trial in trials:
            try:
                yield refer(trial, *subject.build(trial, self._trunks))
            except Exception as error:
                yield failure(trial, "latency", error)

    def _memory(self, trial: Trial) -> Record:
        reason = unsupported(trial)
        if reason is not None:
            return Outcome(trial, "memory", "unsupported", reason)
        try:
            return measure_memory(trial, self._kept)
        except Exception as error:
            return failure(trial, "memory", error)

    def _open_visit(self) -> Visit:
        if self._visit is None:
            raise RuntimeError("no block is open")
        return self._visit


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """A network's trace is many small objects, which the collector would walk again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _describe_runtime() -> Runtime:
    has_cuda = torch.cuda.is_available()
    return Runtime(
        torch=str(torch.__version__),
        interop_threads=torch.get_num_interop_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        onednn=torch.backends.mkldnn.is_available(),
        cuda=torch.version.cuda,
        gpu=torch.cuda.get_device_name() if has_cuda else None,
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
        tf32_cudnn=torch.backends.cudnn.allow_tf32,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        allocator=allocator(),
    )


def main() -> None:
    """Serve on standard input and output; what else prints goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    kept: Path | None = parser.parse_args().keep
    replies = own_output()
    gc.freeze()  # what the imports made stays, and need not be walked
    worker = Worker(kept)
    serve(worker.environment(), worker.answer, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
