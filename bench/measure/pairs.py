"""A process that measures a few arms in rounds and tells them all: for experiments on the method.

``python -m bench.measure.pairs --arms none,none,standard-r16 --seconds 6``
prints a Round a line, whose samples stand in the order of the arms. An arm
``slowed-K`` is the trunk behind K small convolutions, and ``none@onnxruntime`` the
trunk by another executor.

With ``--sequence SECONDS`` each arm runs by itself instead. Then the first
line tells the order they ran in and what torch's benchmark timer takes for
nothing, and after it comes, for each arm, one JSON list of its raw times.

With ``--wait`` it says ready when all arms are built, and is sent a line before
it runs any; when its input ends before, so does it. Until then it needs one CPU
and no threads, so that several may be started at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import chain
from typing import cast

import torch
from torch import nn

from bench import protocol
from bench.measure import sequences, subject
from bench.measure.latency import Rounds
from bench.measure.paths import Forward, executor_of
from bench.measure.slowed import Slowed
from bench.measure.timers import WallTimer
from bench.order import balanced_orders
from bench.record import encode
from bench.trial import EXECUTORS, ExecutorName, Path, Trial, Variant, Workload
from se_models.config import Architecture, SEConfig

ARCHITECTURE: Architecture = "resnet18"
ARMS = {"none": SEConfig("none"), "standard-r16": SEConfig("standard")}
SLOWED = "slowed-"
# The first forwards of a model build its kernels and fill the allocator.
WARM_UP = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure for so many seconds; the caches of all arms are warm from the start on."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    workload = Workload(size=options.size, threads=options.threads)
    trunks = subject.Trunks()
    if options.touch == "all":
        _touch_by_all_threads(trunks.placed(ARCHITECTURE, workload))
    forwards = [_forward(name, workload, trunks) for name in options.arms]
    if options.wait and not _told_to_go():
        return
    with torch.inference_mode():
        for forward in forwards * WARM_UP:
            forward()
    if options.sequence is None:
        _print_rounds(forwards, options.seconds, options.seed)
    else:
        _print_sequence(forwards, options.sequence, options.seed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.pairs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--arms", type=_arms, default="none,none,standard-r16", help="the first is the trunk"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=6.0, help="of all rounds together")
    parser.add_argument(
        "--sequence", type=float, metavar="SECONDS", help="no rounds: each arm alone, for so long"
    )
    parser.add_argument(
        "--touch", choices=("one", "all"), default="one",
        help="which threads touch the trunk's pages first, and so decide where they lie",
    )  # fmt: skip
    parser.add_argument("--wait", action="store_true", help="run nothing until sent a line")
    parser.add_argument("--seed", type=int, default=0, help="of the orders")
    return parser.parse_args(arguments)


def _arms(text: str) -> list[str]:
    names = text.split(",")
    for arm in names:
        name, at, executor = arm.partition("@")
        operators = name.removeprefix(SLOWED)
        if at and executor not in EXECUTORS:
            raise argparse.ArgumentTypeError(
                f"executor must be from {', '.join(EXECUTORS)}, got {executor!r}"
            )
        if name not in ARMS and (operators == name or not operators.isdecimal()):
            raise argparse.ArgumentTypeError(
                f"must be from {', '.join(ARMS)}, {SLOWED}K, got {name!r}"
            )
    return names


def _told_to_go() -> bool:
    sys.stdout.buffer.write(protocol.encode(protocol.Ready()))
    sys.stdout.buffer.flush()
    return bool(sys.stdin.buffer.readline())


def _print_rounds(forwards: Sequence[Forward], seconds: float, seed: int) -> None:
    rounds = Rounds("", forwards, WallTimer())
    measured = []
    end = time.monotonic() + seconds
    for order in balanced_orders(len(forwards), seed):
        measured.append(rounds.run(order))
        if time.monotonic() >= end:
            break
    sys.stdout.buffer.writelines(map(encode, measured))  # whoever reads sleeps until now


def _print_sequence(forwards: Sequence[Forward], seconds: float, seed: int) -> None:
    order = sequences.drawn_order(len(forwards), seed)
    print(json.dumps({"order": order, "timer_overhead_s": sequences.timer_overhead_s()}))
    for times_s in sequences.in_sequence(forwards, seconds, order):
        print(json.dumps(times_s))


@torch.no_grad()
def _touch_by_all_threads(model: nn.Module) -> None:
    """Copy every tensor, each thread its share: a page lies near the thread that wrote it first."""
    for tensor in chain(model.parameters(), model.buffers()):
        tensor.data = tensor.data.clone()


def _forward(arm: str, workload: Workload, trunks: subject.Trunks) -> Forward:
    name, _, executor = arm.partition("@")
    config = ARMS.get(name, ARMS["none"])
    path = Path(executor=cast(ExecutorName, executor or "eager"))
    trial = Trial(Variant(ARCHITECTURE, config), workload, path)
    with torch.no_grad():
        built, example = subject.build(trial, trunks)
        model: nn.Module = built
        if name.startswith(SLOWED):
            model = Slowed(built, int(name.removeprefix(SLOWED)))
        return executor_of(trial.path).prepare(model, example)


if __name__ == "__main__":
    main()
