"""What the fused kernels reach of the memory's bandwidth: ``python -m bench.measure.bandwidth``.

Each kernel runs on the feature maps that the blocks of an architecture have,
beside torch's own ``add_``, which moves three bytes for each that it computes
and computes next to nothing: what it reaches is what this machine gives a map
of that size, in whichever cache it lies. All run once in a round, in balanced
order, on maps that the kernel before left warm; told is the median over
rounds. Bytes are those that must move if nothing is read or written twice. The
fused plain network is timed beside them, so that a kernel's time can be told as
a share of it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import se_models
from bench.cpus import default_threads
from bench.files import replacing
from bench.measure import subject
from bench.measure.subject import MEMORY_FORMATS
from bench.order import balanced_orders
from bench.trial import Layout, Trial, Variant, Workload
from se_models.config import Architecture
from se_models.fused import fuse, operators
from se_models.fused.kernels import load
from se_models.squeeze_excitation import SqueezeExcitation

KERNELS = "kernels.csv"
OUT = Path("results/fused")
CONTROL, TRUNK = "add_", "plain trunk"
ARCHITECTURES: tuple[Architecture, ...] = ("resnet18", "resnet50")
LAYOUTS: tuple[Layout, ...] = ("contiguous", "channels_last")
BATCHES = (1, 8)
ROUNDS = 60
FORWARDS = 15  # of a plain trunk
# A sample lasts at least this long, so that the clock's own cost is nothing beside it.
SAMPLE_S = 5e-4


@dataclass(frozen=True)
class Kernel:
    """A call on a map, and the bytes it must move."""

    name: str
    call: Callable[[], object]
    moved_bytes: int | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all maps; leave ``kernels.csv`` in --out."""
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
    torch.set_num_threads(options.threads)
    rows = list(_rows(options.threads, options.rounds))
    options.out.mkdir(parents=True, exist_ok=True)
    with replacing(options.out / KERNELS) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(options.out / KERNELS)


def _rows(threads: int, rounds: int) -> Iterator[dict[str, object]]:
    for architecture, layout, batch in product(ARCHITECTURES, LAYOUTS, BATCHES):
        setting = {
            "architecture": architecture, "layout": layout, "batch": batch, "threads": threads,
        }  # fmt: skip
        print(f"{architecture}, {layout}, batch {batch}", flush=True)
        for (channels, side), blocks in maps_of(architecture).items():
            kernels = kernels_on((batch, channels, side, side), layout)
            for kernel, seconds in zip(kernels, measured(kernels, rounds), strict=True):
                yield {
                    **setting, "channels": channels, "side": side, "blocks": blocks,
                    "kernel": kernel.name, "moved_bytes": kernel.moved_bytes, "seconds": seconds,
                }  # fmt: skip
        trunk = trunk_on(architecture, batch, layout)
        (seconds,) = measured([trunk], FORWARDS)
        yield {
            **setting, "channels": None, "side": None, "blocks": None,
            "kernel": trunk.name, "moved_bytes": None, "seconds": seconds,
        }  # fmt: skip


def maps_of(architecture: Architecture, size: int = 224) -> Counter[tuple[int, int]]:
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
def kernels_on(shape: tuple[int, int, int, int], layout: Layout) -> list[Kernel]:
    """Torch's own first, then the fused ones, then SE's tail as eager has it."""
    batch, channels = shape[:2]

    def drawn() -> Tensor:
        return torch.rand(shape).contiguous(memory_format=MEMORY_FORMATS[layout])

    x, shortcut = drawn(), drawn()
    se = SqueezeExcitation(channels)
    by_unit = se.fc2.weight.t().contiguous().t()  # as a twin lays them out
    weights = (se.fc1.weight, se.fc1.bias, by_unit, se.fc2.bias, None)
    means = torch.rand(batch, channels)
    gate = torch.rand(batch, channels)
    once = x.numel() * x.itemsize
    layers = sum(each.numel() * each.itemsize for each in se.parameters())
    return [
        Kernel(CONTROL, lambda: x.add_(shortcut, alpha=0), 3 * once),
        Kernel("squeeze", lambda: operators.squeeze(x, False), once),
        Kernel("excite", lambda: operators.excite(means, *weights), layers),
        Kernel("tail_", lambda: operators.tail_(x, shortcut, None, None, None), 3 * once),
        Kernel("tail_, gate", lambda: operators.tail_(x, shortcut, gate, None, None), 3 * once),
        Kernel(
            "tail_squeeze_",
            lambda: operators.tail_squeeze_(x, shortcut, None, None, None),
            3 * once,
        ),
        Kernel("scale", lambda: operators.scale(x, gate, 1), 2 * once),
        Kernel("SE, add, ReLU in eager", lambda: se(x).add_(shortcut).relu_(), 8 * once),
    ]


@torch.no_grad()
def trunk_on(architecture: Architecture, batch: int, layout: Layout) -> Kernel:
    """The whole plain network, fused: what a kernel's time is a share of."""
    workload = Workload(layout=layout, batch=batch)
    model, example = subject.build(Trial(Variant(architecture), workload), subject.Trunks())
    fused = fuse(model)
    return Kernel(TRUNK, lambda: fused(example), None)


@torch.inference_mode()
def measured(kernels: Sequence[Kernel], rounds: int) -> list[float]:
    """The median seconds of one call of each."""
    calls = [_calls_per_sample(kernel) for kernel in kernels]
    samples_s: list[list[float]] = [[] for _ in kernels]
    for order in islice(balanced_orders(len(kernels), seed=0), rounds):
        for place in order:
            call = kernels[place].call
            started = time.perf_counter()
            for _ in range(calls[place]):
                call()
            samples_s[place].append((time.perf_counter() - started) / calls[place])
    return [float(np.median(each)) for each in samples_s]


def _calls_per_sample(kernel: Kernel) -> int:
    kernel.call()
    started = time.perf_counter()
    kernel.call()
    return max(1, round(SAMPLE_S / (time.perf_counter() - started)))


if __name__ == "__main__":
    main()
