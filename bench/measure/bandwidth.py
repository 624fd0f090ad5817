"""What the fused kernels reach of this machine: ``python -m bench.measure.bandwidth``.

For each network the operators are noted that its fused twins call on this CPU, of the
plain network and of the placements of SE, and how often. Each is then called by
itself on the tensors that the twin gave it, beside one of torch's own on as much:
``add_`` on the map, which moves three bytes for each that it computes and computes
next to nothing, or, where it multiplies matrices, torch's product of the same
shapes. All that have the same one beside them run once in a round, in balanced order,
each behind a call of its own that is not timed and leaves its tensors in whichever
cache they fit. Told are the median of torch's own, and that times the median of a
kernel's ratios to it within rounds. Bytes are those that must move if nothing is read
or written again without need. The fused plain network is timed too, so that times can
be told as shares of it.

It takes some minutes.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from torch import nn

import se_models
from bench.cpus import default_threads
from bench.environment import describe_machine
from bench.files import write_rows
from bench.measure import subject
from bench.measure.allocator import keep_freed_memory
from bench.measure.controls import CONTROL, Control, control_of
from bench.measure.operator_calls import Called, calls_of
from bench.order import balanced_orders
from bench.stats import Array
from bench.trial import Layout, Trial, Variant, Workload
from se_models.config import Architecture, Placement, SEConfig
from se_models.fused import fuse
from se_models.fused.kernels import load
from se_models.resnet import se_modules

KERNELS = "kernels.csv"
OUT = Path("results/fused")
TRUNK = "plain trunk"
ARCHITECTURES: tuple[Architecture, ...] = ("resnet18", "resnet50")
LAYOUTS: tuple[Layout, ...] = ("contiguous", "channels_last")
BATCHES = (1, 8)
SIZE = 224
# `prenorm` calls what `standard` does, with a factor and a summand for each channel besides.
TWINS: tuple[Placement, ...] = ("none", "standard", "pre", "post", "identity", "inner")
ROUNDS = 60
FORWARDS = 15  # of a plain trunk
# A sample lasts at least this long, so that the clock's own cost is nothing beside it.
SAMPLE_S = 5e-4
# The bias of SE's second layer, of which the sigmoid is one in float32.
_OPEN = 20.0

Call = Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """A kernel on one map: how often each twin calls it so, what a call moves and takes."""

    kernel: str
    map: Sequence[int]
    times: dict[Placement, int]
    seconds: float
    moved_bytes: int | None = None
    flops: int | None = None
    control: Control | None = None
    control_seconds: float | None = None

    def row(self) -> dict[str, object]:
        """Of ``kernels.csv``."""
        control = self.control
        return {
            "kernel": self.kernel, "map": "x".join(map(str, self.map)),
            **{placement: self.times.get(placement, 0) for placement in TWINS},
            "moved_bytes": self.moved_bytes, "flops": self.flops, "seconds": self.seconds,
            "control": None if control is None else control.name,
            "control_bytes": None if control is None else control.moved_bytes,
            "control_seconds": self.control_seconds,
        }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all calls; leave ``kernels.csv`` in --out."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.bandwidth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    parser.add_argument("--threads", type=int, default=default_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    options = parser.parse_args(arguments)
    if not load(torch.device("cpu")):
        raise SystemExit("there are no kernels to measure")
    keep_freed_memory()  # or kernels that allocate would be timed with the pages of what they make
    torch.set_num_threads(options.threads)
    rows = list(_rows(options.threads, options.rounds))
    write_rows(options.out / KERNELS, rows)
    print(options.out / KERNELS)


def _rows(threads: int, rounds: int) -> Iterator[dict[str, object]]:
    machine, trunks = describe_machine().cpu, subject.Trunks()
    for architecture, layout, batch in product(ARCHITECTURES, LAYOUTS, BATCHES):
        workload = Workload(layout=layout, batch=batch, size=SIZE, threads=threads)
        print(f"{architecture}, {layout}, batch {batch}", flush=True)
        for measured in _measured(architecture, workload, rounds, trunks):
            yield {
                "architecture": architecture, "layout": layout, "batch": batch, "size": SIZE,
                "dtype": workload.dtype, "threads": threads, "machine": machine, **measured.row(),
            }  # fmt: skip


def _measured(
    architecture: Architecture, workload: Workload, rounds: int, trunks: subject.Trunks
) -> Iterator[Measured]:
    def twin(placement: Placement) -> nn.Module:
        return open_twin(Trial(Variant(architecture, SEConfig(placement)), workload), trunks)

    for (channels, side), blocks in maps_of(architecture, workload.size).items():
        sums = Control(CONTROL, (workload.batch, channels, side, side))
        (seconds,) = np.median(samples([sums.prepared()], rounds), axis=1)
        times = dict.fromkeys(TWINS, blocks)
        yield Measured(CONTROL, sums.shape[1:], times, seconds, sums.moved_bytes)
    trunk, example = twin("none"), subject.build_example(workload)
    (seconds,) = np.median(samples([lambda: trunk(example)], FORWARDS), axis=1)
    yield Measured(TRUNK, (), {"none": 1}, seconds)
    calls = calls_of(((placement, twin(placement)) for placement in TWINS), example)
    for control, alike in by_control(calls).items():
        yield from _beside(control, alike, rounds)


def maps_of(architecture: Architecture, size: int) -> Counter[tuple[int, int]]:
    """Channels and side of every block's output, and how many blocks have it."""
    with torch.device("meta"):
        model: nn.Module = getattr(se_models, architecture)()
        found: Counter[tuple[int, int]] = Counter()
        for number in (1, 2, 3, 4):
            for block in model.get_submodule(f"layer{number}").children():
                block.register_forward_hook(
                    lambda _block, _inputs, output: found.update([tuple(output.shape[1:3])])
                )
        with torch.no_grad():
            model.eval()(torch.empty(1, 3, size, size))
    return found


@torch.no_grad()
def open_twin(trial: Trial, trunks: subject.Trunks) -> nn.Module:
    """The fused network of a trial, its gates one, whatever they are given.

    An operator that is called again and again in place would else make what it gates
    vanish, and arithmetic on the smallest numbers of all is slow.
    """
    model, _ = subject.build(trial, trunks)
    for _, block in se_modules(model):
        assert block.se.fc2.bias is not None
        block.se.fc2.weight.zero_()
        block.se.fc2.bias.fill_(_OPEN)
    return fuse(model, keep_state=False)


def by_control(calls: Sequence[Called]) -> dict[Control, list[Called]]:
    """All that have the same one of torch's own beside them."""
    found: dict[Control, list[Called]] = {}
    for called in calls:
        found.setdefault(control_of(called.call), []).append(called)
    return found


def _beside(control: Control, alike: Sequence[Called], rounds: int) -> Iterator[Measured]:
    control_s, *each_s = samples([control.prepared(), *(each.call for each in alike)], rounds)
    median_s = float(np.median(control_s))
    for called, own_s in zip(alike, each_s, strict=True):
        call, seconds = called.call, float(np.median(own_s / control_s)) * median_s
        yield Measured(
            call.label, call.first.shape[1:], called.times, seconds, call.moved_bytes, call.flops,
            control, median_s,
        )  # fmt: skip


@torch.inference_mode()
def samples(calls: Sequence[Call], rounds: int) -> Array:
    """Seconds of one call of each in every round ``(calls, rounds)``, in balanced order."""
    repeats = [_calls_per_sample(call) for call in calls]
    samples_s = np.empty((len(calls), rounds))
    for number, order in enumerate(islice(balanced_orders(len(calls), seed=0), rounds)):
        for place in order:
            calls[place]()
            started = time.perf_counter()
            for _ in range(repeats[place]):
                calls[place]()
            samples_s[place, number] = (time.perf_counter() - started) / repeats[place]
    return samples_s


def _calls_per_sample(call: Call) -> int:
    call()
    started = time.perf_counter()
    call()
    return max(1, round(SAMPLE_S / (time.perf_counter() - started)))


if __name__ == "__main__":
    main()
