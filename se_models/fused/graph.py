"""A whole forward as one CUDA graph: ``capture(model, example)``, by torch's own graph API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from se_models.fused.cuda.arrivals import arrivals
from se_models.fused.latest import Latest
from se_models.fused.shapes import layout_of

# Before torch 2.9 there are flags alone; since then a flag may refuse to be read where a precision
# was set by its name.
_NAMES_PRECISIONS = hasattr(torch.backends.cudnn, "conv")
# Forwards ahead of a capture, on a stream of their own: libraries choose and set up what a capture
# forbids. As torch's documentation has it.
WARM_UPS = 3


@dataclass(frozen=True)
class StaticForward:
    """A captured forward for one kind of input: reads ``input``, writes ``output``, in place.

    Whoever can write into ``input`` by themselves need no copies: a call replays
    the graph on what is there, and its result lasts until the next.
    """

    graph: torch.cuda.CUDAGraph
    input: Tensor
    output: Tensor
    # What its kernels read and write by address, and so has to live as long as it does.
    arrivals: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]

    def __call__(self) -> Tensor:
        self.graph.replay()
        return self.output

    @property
    def pool_bytes(self) -> int:
        """What the graph's private memory pool has reserved, in bytes."""
        pool = self.graph.pool()
        return sum(
            segment["total_size"]
            for segment in torch.cuda.memory_snapshot()
            if tuple(segment["segment_pool_id"]) == pool
        )


class CapturedForward:
    """A model's forward on CUDA, replayed instead of launched operator by operator.

    Inputs of another shape, dtype, layout or device are captured when they first come, and
    so are those that come under another autocast, which casts weights at every replay,
    or while float32 is multiplied in another precision, such as TF32;
    the graph that was used least recently makes room for them. Weights are read
    where they lay when a graph was captured: changing their values in place
    shows, another tensor in their place does not, as after loading a state into a
    twin, or moving it. A graph keeps the parameters and buffers that it was
    captured with; other tensors that the model reads are for the model to keep.

    Call it on one stream at a time, and from one thread: all calls of a kind share
    the graph's input and output, and nothing makes one stream wait for another.
    Replays on another stream than that of the capture must be done before this is let
    go of: its memory goes back to the latter, where it may be given away at once.
    While a new kind is captured there may be one graph more than ``graphs``.

    Args:
        model: in eval mode, also whenever this is called, on a CUDA device.
        static_output: return the graph's own output, which the next call of the
            same kind overwrites, rather than a copy of it.
        graphs: how many are kept at most.

    Raises:
        ValueError: if the model is in training mode or ``graphs`` is no positive integer.
    """

    def __init__(self, model: nn.Module, *, static_output: bool = False, graphs: int = 8) -> None:
        _check_mode(model)
        if graphs < 1:
            raise ValueError(f"graphs must be a positive integer, got {graphs}")
        self._model = model
        self._static_output = static_output
        self._graphs = Latest[StaticForward](graphs)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """The output for ``x``, ``(B, 3, H, W)``; on the current stream, without waiting for it.

        Raises:
            ValueError: if ``x`` is not on a CUDA device, or the model is in training mode by now.
        """
        forward = self.static(x)
        forward.input.copy_(x)
        output = forward()
        return output if self._static_output else output.clone()

    @property
    def pool_bytes(self) -> int:
        """What the graphs' private memory pools have reserved, in bytes."""
        return sum(forward.pool_bytes for forward in self._graphs.values())

    def static(self, x: Tensor) -> StaticForward:
        """The forward for inputs like ``x``, captured now unless it is there.

        Raises:
            ValueError: if ``x`` is not on a CUDA device, or the model is in training mode by now.
        """
        _check_mode(self._model)
        _check_device(x)
        layout = layout_of(x)
        # What tells calls apart that need a graph each. Of what makes room no replay is under way,
        # on any stream: torch waits for the device before it captures.
        kind = (x.shape, x.dtype, layout, x.device, _autocast(x), _precisions())
        return self._graphs.get_or_make(kind, lambda: _captured(self._model, x, layout))


def capture(
    model: nn.Module, example: Tensor, *, static_output: bool = False, graphs: int = 8
) -> CapturedForward:
    """The model's forward as a CUDA graph, captured for inputs like ``example``.

    Args and Raises:
        those of `CapturedForward`, and of calling it.
    """
    captured = CapturedForward(model, static_output=static_output, graphs=graphs)
    captured.static(example)
    return captured


@torch.inference_mode(False)  # what is made in it could not be written to outside
@torch.no_grad()
def _captured(model: nn.Module, x: Tensor, layout: torch.memory_format) -> StaticForward:
    # Graphs are captured on the current device.
    with torch.cuda.device(x.device), _stream_restored(), _uncached_casts():
        given = torch.empty_like(x, memory_format=layout)
        given.copy_(x)
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                model(given)
        current.wait_stream(aside)
        with arrivals.of_a_graph(x.device, aside) as counters:
            graph = torch.cuda.CUDAGraph()
            # Torch's own stream for captures stays on the device that was current at the first.
            with torch.cuda.graph(graph, stream=aside):
                output = model(given)
    # Detached, for a parameter may be given other memory, which is then no longer what was read.
    weights = tuple(each.detach() for each in (*model.parameters(), *model.buffers()))
    return StaticForward(graph, given, output, tuple(counters.values()), weights)


@contextmanager
def _stream_restored() -> Iterator[None]:
    """Go back to the current stream at the end: a capture that fails may stay on its own."""
    before = torch.cuda.current_stream()
    try:
        yield
    finally:
        torch.cuda.set_stream(before)


@contextmanager
def _uncached_casts() -> Iterator[None]:
    """Have autocast keep no weights that it casts: a graph would read them when they are freed."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _autocast(x: Tensor) -> torch.dtype | None:
    """What is cast to where ``x`` is, or None."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def _precisions() -> tuple[object, ...]:
    """In what float32 is multiplied, in matrices and in convolutions."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn  # torch's annotations lack what is set at run time
    if _NAMES_PRECISIONS:
        return (matmul.fp32_precision, cudnn.conv.fp32_precision)
    return (matmul.allow_tf32, cudnn.allow_tf32)


def _check_mode(model: nn.Module) -> None:
    if model.training:
        raise ValueError("model must be in eval mode, got one in training mode")


def _check_device(x: Tensor) -> None:
    if x.device.type != "cuda":
        raise ValueError(f"x must be on a CUDA device, got {x.device}")
