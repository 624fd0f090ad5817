"""What a process of the timing gate does: hold models of one tree, run whichever it is told, once.

It sleeps between commands, so that processes of several trees can take turns.
"""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import torch
from torch import nn

from bench.measure import subject
from bench.measure.paths import executor_of, transformed, unsupported
from bench.protocol import Command, Held, Hold, RunHeld, Sample
from bench.trial import Trial

# The first forwards of a model build its kernels and fill the allocator.
WARM_UP = 2


class Candidate:
    """What is held, in the order in which it was asked for.

    Args:
        threads: that every forward may use.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._trunks = subject.Trunks()
        self._held: list[Callable[[], object]] = []

    def answer(self, command: Command) -> Iterator[Held | Sample]:
        """The one answer that a command asks for.

        Raises:
            ValueError: if it is for another kind of worker.
        """
        match command:
            case Hold():
                yield self._hold(command.what)
            case RunHeld():
                yield self._run(self.forward(command.place))
            case _:
                raise ValueError(f"a candidate cannot {type(command).__name__}")

    def forward(self, place: int) -> Callable[[], object]:
        """What is held at a place."""
        return self._held[place]

    @torch.inference_mode()
    def _hold(self, what: str) -> Held:
        try:
            forward = self._trial(what) if what.startswith("{") else factory_made(what)
            for _ in range(WARM_UP):
                forward()
        except Exception as error:  # the tree's own, whatever it is
            return Held(None, f"{type(error).__name__}: {error}", _is_lacking(what, error))
        self._held.append(forward)
        return Held(len(self._held) - 1)

    def _trial(self, text: str) -> Callable[[], object]:
        trial = msgspec.json.decode(text, type=Trial)
        reason = unsupported(trial)
        if reason is not None:
            raise RuntimeError(reason)
        model, example = subject.build(trial, self._trunks)
        return executor_of(trial.path).prepare(transformed(model, trial.path.transform), example)

    @torch.inference_mode()
    def _run(self, forward: Callable[[], object]) -> Sample:
        gc.disable()
        try:
            cpu_s, started_s = time.process_time(), time.perf_counter()
            forward()
            wall_s = time.perf_counter() - started_s
            return Sample(wall_s, time.process_time() - cpu_s)
        finally:
            gc.enable()


def _is_lacking(what: str, error: Exception) -> bool:
    """Whether the tree has no such thing, by what asking for it raised; one that fails is there."""
    if what.startswith("{"):
        return isinstance(error, msgspec.ValidationError)
    module, _, factory = what.partition(":")
    if isinstance(error, ModuleNotFoundError):
        return f"{module}.".startswith(f"{error.name}.")
    found = sys.modules.get(module)
    return isinstance(error, AttributeError) and found is not None and not hasattr(found, factory)


def factory_made(name: str) -> Callable[[], object]:
    """What ``module:factory`` makes, as a forward without arguments.

    Raises:
        TypeError: if it makes neither a callable without arguments nor a model and its inputs.
        Exception: whatever importing and calling it raises.
    """
    module, _, factory = name.partition(":")
    made: Any = getattr(importlib.import_module(module), factory)()
    if isinstance(made, tuple) and made and callable(made[0]):
        return partial(made[0], *made[1:])
    if callable(made) and not isinstance(made, nn.Module):
        return made
    raise TypeError(
        f"{name} must return a callable without arguments, or a tuple of a model and its inputs, "
        f"got {type(made).__name__}"
    )
