"""Whether forwards and replays are right while they wait in line, on one stream or on two.

A device that is idle runs each kernel as soon as it is launched: one that is
launched on the wrong stream comes right all the same, and no replay ever
follows another at once. So streams are held up, by a kernel that does nothing,
until everything is launched, and nothing is compared before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import torch
from torch import Tensor

from bench.measure.checks import Lines, WrongError, fused_network
from se_models.fused import capture

REPLAYS = 200
# An eager forward is many launches, of which a stream takes about a thousand in line.
FORWARDS = 8
# A tenth of a second or more: longer than launching takes.
HELD_UP_CYCLES = 250_000_000

Forward = Callable[[Tensor], Tensor]


def _deterministic(check: Callable[[torch.device], Lines]) -> Callable[[torch.device], Lines]:
    """Run a check with convolutions that give the same bits whenever they are asked.

    Of cuDNN's algorithms some add up in any order; a network's output would differ for them.
    """

    @wraps(check)
    def run(device: torch.device) -> Lines:
        cudnn = torch.backends.cudnn
        before = cudnn.deterministic, cudnn.benchmark
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield from check(device)
        finally:
            cudnn.deterministic, cudnn.benchmark = before

    return run


@_deterministic
@torch.no_grad()
def stream(device: torch.device) -> Lines:
    """A forward on a stream of its own is the one on the default stream.

    Its input is written on that stream too, once it goes on: what is launched
    where nobody waits finds NaN.
    """
    model, example = fused_network(device)
    expected = model(example)
    images = torch.full_like(example, torch.nan)
    (aside,) = _held_up(1, device)
    with torch.cuda.stream(aside):
        images.copy_(example)
        output = model(images)
    torch.cuda.current_stream(device).wait_stream(aside)
    if not torch.equal(output, expected):
        raise WrongError("a forward on another stream differs")
    yield "another stream, held up, the very same output"


@_deterministic
@torch.no_grad()
def captured(device: torch.device) -> Lines:
    """Replays with changing inputs are the forwards that they stand for, one behind the other."""
    model, example = fused_network(device)
    replayed = capture(model, example)
    given, expected = _inputs(REPLAYS, model, example)
    torch.cuda._sleep(HELD_UP_CYCLES)
    _compare([replayed(images) for images in given], expected, "replay", "a forward")
    yield f"{REPLAYS} replays in line, with changing inputs, the very same outputs"
    yield f"{replayed.pool_bytes / 2**20:.1f} MiB in the graph's own pool"


@_deterministic
@torch.no_grad()
def at_once(device: torch.device) -> Lines:
    """Forwards on two streams, and replays of two graphs, are what they are one at a time."""
    model, example = fused_network(device)
    _run_at_once((model, model), FORWARDS, model, example)
    yield f"two streams at once, {FORWARDS} forwards each, the very same outputs"
    graphs = capture(model, example), capture(model, example)
    _run_at_once(graphs, REPLAYS, model, example)
    yield f"two graphs at once, {REPLAYS} replays each, the very same outputs"


def _run_at_once(forwards: Sequence[Forward], count: int, model: Forward, example: Tensor) -> None:
    """Run each on a stream of its own, ``count`` times, taking turns at launching."""
    tasks = [_inputs(count, model, example) for _ in forwards]
    streams = _held_up(len(forwards), example.device)
    outputs: list[list[Tensor]] = [[] for _ in forwards]
    for number in range(count):
        for aside, forward, (given, _), own in zip(streams, forwards, tasks, outputs, strict=True):
            with torch.cuda.stream(aside):
                own.append(forward(given[number]))
    for aside in streams:
        torch.cuda.current_stream(example.device).wait_stream(aside)
    for own, (_, expected) in zip(outputs, tasks, strict=True):
        _compare(own, expected, "forward", "one alone")


def _held_up(count: int, device: torch.device) -> list[torch.cuda.Stream]:
    """Streams that begin once all that was launched here is done, and not at once."""
    streams = [torch.cuda.Stream(device) for _ in range(count)]
    for aside in streams:
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            torch.cuda._sleep(HELD_UP_CYCLES)
    return streams


def _inputs(count: int, model: Forward, example: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs that differ, and the model's outputs for them."""
    given = [torch.randn_like(example) for _ in range(count)]
    return given, [model(images) for images in given]


def _compare(found: Sequence[Tensor], expected: Sequence[Tensor], what: str, other: str) -> None:
    for number, (one, right) in enumerate(zip(found, expected, strict=True), start=1):
        if not torch.equal(one, right):
            raise WrongError(f"{what} {number} of {len(found)} differs from {other}")
