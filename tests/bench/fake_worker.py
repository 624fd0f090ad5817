"""A worker that measures nothing: it answers every command at once, with numbers made up by rule.

The trunk takes 10 ms, a variant ``1 + reduction / 100`` times that, plus a
little that changes from round to round. So the whole run can be tested
exactly, in milliseconds and without torch.

Arguments ``EVENT:LABEL`` make it misbehave where the variant of that label is
concerned: ``die-open``, ``die-round``, ``die-count``, ``die-reference``,
``hang-round``, ``hang-fork``, ``wrong``, ``oom``. ``no-start`` makes it fail at
once. With ``once:FILE`` before it, the misbehaviour happens only while FILE
does not exist. ``unsupported:PATH`` is for all trials by that path, and
``slow-open:SECONDS`` what each arm of a block takes to prepare.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from bench.environment import Runtime, describe_machine, describe_source
from bench.protocol import (
    CloseBlock,
    CountTrials,
    MakeReferences,
    MeasureMemory,
    OpenBlock,
    Preparing,
    Ready,
    Reference,
    Reply,
    RunRound,
    decode_command,
    encode,
)
from bench.record import Arm, Block, Counts, Environment, Memory, Outcome, Round
from bench.trial import Trial

TRUNK_S = 0.010
CPU_SHARE = 2.0
# Looks like markup.
UNSUPPORTED = "not installed: pip install 'se-bench[onnx]'"
RUNTIME = Runtime(
    torch="fake", interop_threads=1, cpu_capability="FAKE", onednn=False, cuda=None, gpu=None,
    tf32_matmul=False, tf32_cudnn=False, cudnn_benchmark=False,
)  # fmt: skip


def send(message: Reply) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.buffer.flush()


def overhead(trial: Trial) -> float:
    return 0.0 if trial == trial.trunk else trial.variant.se.reduction / 100


class FakeWorker:
    def __init__(self, arguments: list[str]) -> None:
        self.event, self.label = "", ""
        self.once: Path | None = None
        keep = arguments.index("--keep")
        assert Path(arguments[keep + 1]).is_dir()
        for argument in arguments[:keep]:
            event, _, value = argument.partition(":")
            if event == "once":
                self.once = Path(value)
            else:
                self.event, self.label = event, value
        self.arms: tuple[Arm, ...] = ()
        self.visit, self.rounds = "", 0

    def misbehaves(self, event: str, trial: Trial) -> bool:
        matches = self.event == event and trial.variant.se.label == self.label
        return matches and not self.has_happened()

    def has_happened(self) -> bool:
        """Whether it was to happen once only, and has; from now on it has."""
        if self.once is None:
            return False
        happened = self.once.exists()
        self.once.touch()
        return happened

    def count(self, trials: tuple[Trial, ...]) -> None:
        for trial in trials:
            if self.misbehaves("die-count", trial):
                os.kill(os.getpid(), signal.SIGKILL)
            extra = trial.variant.se.reduction
            send(Counts(trial, 1000 + extra, extra, 10**6, 10**4, 10**5, 60, 2**20))

    def hang_in_a_fork(self) -> None:
        """As a forked measurement does that takes too long, the pipes of its parent in hand."""
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        time.sleep(20)
        Path(os.environ["FAKE_SURVIVOR"]).touch()

    def refer(self, trials: tuple[Trial, ...]) -> None:
        for trial in trials:
            if self.misbehaves("die-reference", trial):
                os.kill(os.getpid(), signal.SIGKILL)
            send(Reference(trial, trial.key.encode(), 1e-7))

    def open(self, command: OpenBlock) -> None:
        riding, started = [], time.perf_counter()
        for arm, reference in zip(command.arms, command.references, strict=True):
            if reference is None:
                continue
            send(Preparing(arm))
            if self.event == "slow-open":
                time.sleep(float(self.label))
            assert reference.output == arm.trial.plain.key.encode()
            if self.misbehaves("die-open", arm.trial):
                print("a fake reason", file=sys.stderr, flush=True)
                sys.exit(3)
            if self.misbehaves("wrong", arm.trial):
                send(Outcome(arm.trial, "latency", "wrong_result", "off by 1", command.visit))
            elif self.misbehaves("oom", arm.trial):
                send(Outcome(arm.trial, "latency", "oom", "MemoryError: ", command.visit))
            elif (self.event, self.label) == ("unsupported", arm.trial.path.label):
                send(Outcome(arm.trial, "latency", "unsupported", UNSUPPORTED, command.visit))
                break
            else:
                riding.append(arm)
        if command.arms[0] not in riding:
            riding = []  # no trunk, nothing to pair with
        absent = tuple(arm for arm in command.arms if arm not in riding)
        self.arms, self.visit = tuple(riding), command.visit
        name = str(os.getpid())
        wrong_by = (1e-7,) * len(self.arms)
        prepare_s = time.perf_counter() - started
        send(
            Block(
                command.block, command.visit, name, command.seed, self.arms, absent, wrong_by,
                1, prepare_s, (prepare_s / len(command.arms),) * len(self.arms),
            )
        )  # fmt: skip

    def round(self, order: tuple[int, ...]) -> None:
        self.rounds += 1
        started = time.perf_counter()
        samples = []
        for arm in self.arms:
            if self.misbehaves("die-round", arm.trial):
                os.kill(os.getpid(), signal.SIGKILL)
            if self.misbehaves("hang-round", arm.trial):
                time.sleep(60)
            wobble = 1 + (self.rounds % 3 - 1) / 1000
            samples.append(TRUNK_S * (1 + overhead(arm.trial)) * wobble)
        ended = started + sum(samples)
        cpu_samples = tuple(CPU_SHARE * sample for sample in samples)
        send(
            Round(
                self.visit, order, tuple(samples), started, ended, 0, 0.0, 0.5,
                cpu_samples_s=cpu_samples,
            )
        )  # fmt: skip

    def close(self) -> None:
        for arm in self.arms:
            if arm.role != "control":
                send(Outcome(arm.trial, "latency", "ok", visit=self.visit))

    def serve(self) -> None:
        if self.event == "no-start" and not self.has_happened():
            sys.exit("ImportError: no torch here")
        name = str(os.getpid())
        send(Environment(name, describe_machine(), describe_source(), RUNTIME, 0.01))
        send(Ready())
        for line in sys.stdin.buffer:
            match decode_command(line):
                case CountTrials(trials):
                    self.count(trials)
                case MeasureMemory(trial):
                    if self.misbehaves("hang-fork", trial):
                        self.hang_in_a_fork()
                    send(Memory(trial, 2**20, None))
                case MakeReferences(trials):
                    self.refer(trials)
                case OpenBlock() as command:
                    self.open(command)
                case RunRound(order):
                    self.round(order)
                case CloseBlock():
                    self.close()
            send(Ready())


if __name__ == "__main__":
    FakeWorker(sys.argv[1:]).serve()
