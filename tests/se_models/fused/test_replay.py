"""Calls of operators are noted once for each kind of input, and do the same again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from se_models.fused import replay
from se_models.fused.latest import KINDS
from se_models.fused.replay import Replays
from tests.se_models.fused.threads import at_once


class Counted:
    """A function, and how often it ran."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.runs = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.runs += 1
        return self.function(x)


@torch.no_grad()
def test_tensors_that_stand_for_others_run_as_they_are() -> None:
    """Under `torch.func.vmap` nobody below sees them."""
    replays = Replays()
    images = torch.randn(3, 2, 4)
    run = torch.func.vmap(partial(replays, lambda x: x * 2 + 1))
    for _ in range(2):
        assert torch.equal(run(images), images * 2 + 1)
    assert not replays._kept


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_a_trace_holds_what_the_modules_call() -> None:
    """And is not kept for anybody else."""
    replays, function = Replays(), Counted(lambda x: x * 2)
    x = torch.zeros(2)
    traced = torch.jit.trace(lambda given: replays(function, given), x, check_trace=False)
    assert torch.equal(traced(x + 1), x + 2)
    assert not replays._kept


def test_one_thread_records_at_a_time() -> None:
    """Another runs the forward as it is, and what both get is right."""
    replays, inside, done = Replays(), threading.Event(), threading.Event()

    def slow(x: Tensor) -> Tensor:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert done.wait(60)
        return x + 1

    x = torch.zeros(2)
    outputs: list[Tensor] = []
    other = threading.Thread(target=lambda: outputs.append(replays(slow, x)))
    other.start()
    assert inside.wait(60)
    outputs.append(replays(slow, x))
    kept = len(replays._kept)
    done.set()
    other.join(60)
    assert kept == 0
    assert [output.tolist() for output in outputs] == [[1, 1], [1, 1]]
    assert len(replays._kept) == 1
    with replay._recording:  # as held by one that has not yet said that it records
        replays(slow, torch.zeros(3))
    assert len(replays._kept) == 1


def test_a_recording_that_fails_leaves_nothing() -> None:
    """Neither calls nor a mode, and the next one is recorded."""
    replays = Replays()
    with pytest.raises(ValueError, match="shape"):
        replays(lambda x: x.view(3, 3).fill_(int("shape")), torch.zeros(9))
    assert not replays._kept
    replays(lambda x: x + 1, torch.zeros(9))
    assert len(replays._kept) == 1


def test_kinds_are_recorded_once() -> None:
    """Each of many; a kind is a shape, strides and a dtype."""
    function = Counted(lambda x: x + 1)
    x = torch.zeros(2, 3, 4, 4)
    kinds = [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.double(),
        torch.zeros(1, 3, 4, 4),
    ]
    replayed = partial(Replays(kinds=len(kinds)), function)
    for runs, kind in enumerate(kinds, 1):
        for value in (0, 5):
            assert torch.equal(replayed(kind + value), kind + value + 1)
        assert function.runs == runs
    for kind in kinds:
        replayed(kind)
    assert function.runs == len(kinds)


def test_the_kind_that_was_used_least_recently_makes_room() -> None:
    """Not the one that came first, which may be the one that comes most."""
    function = Counted(lambda x: x + 1)
    replayed = partial(Replays(), function)
    *kinds, another = (torch.zeros(1 + more) for more in range(KINDS + 1))
    for kind in (*kinds, kinds[0], another, kinds[0], another):
        replayed(kind)
    assert function.runs == KINDS + 1
    replayed(kinds[1])
    assert function.runs == KINDS + 2


@torch.no_grad()
def test_threads_of_several_kinds_each_get_their_own() -> None:
    """Of more than are kept, too; and of so many as are kept each is recorded once."""
    sizes = range(3)

    def many(replays: Replays, size: int) -> None:
        for value in range(100):
            x = torch.full((1 + size,), float(value))
            assert torch.equal(replays(lambda x: x * 2, x), x * 2)

    for kinds in (KINDS, len(sizes)):
        replays = Replays(kinds=kinds)
        at_once(partial(many, replays), sizes)
        for size in sizes:
            many(replays, size)
        assert len(replays._kept) == kinds
    function = Counted(lambda x: x * 2)
    at_once(lambda size: replays(function, torch.zeros(1 + size)), sizes)
    assert function.runs == 0


@pytest.mark.parametrize(
    "x", [torch.zeros(2, device="meta"), nn.Parameter(torch.zeros(2))], ids=["meta", "parameter"]
)
def test_other_tensors_are_not_recorded(x: Tensor) -> None:
    """Those without values, and those of a class of their own."""
    function = Counted(lambda x: x + 1)
    replayed = partial(Replays(), function)
    replayed(x)
    replayed(x)
    assert function.runs == 2


def test_what_does_not_follow_from_the_input_is_made_once() -> None:
    """Such as weights that are laid out."""
    weight = torch.ones(3)
    replayed = partial(Replays(), lambda x: x * (weight + 1))
    replayed(torch.ones(3))
    weight += 1
    assert replayed(torch.ones(3)).tolist() == [2, 2, 2]


def test_several_results_changes_in_place_and_options_are_called_again() -> None:
    """Operators that return several tensors, one that they were given, none, or take keywords."""

    def function(x: Tensor) -> Tensor:
        values, places = nn.functional.max_pool2d(x, 2, return_indices=True)
        values.add_(1)
        return values * 2 + places.sum(dim=(2, 3), keepdim=True, dtype=torch.float64)

    replayed = partial(Replays(), function)
    for _ in range(3):
        x = torch.randn(1, 2, 4, 4)
        assert torch.equal(replayed(x), function(x))


def test_what_would_not_do_the_same_again_is_refused() -> None:
    """Tensors in lists would be kept as they were, and a new one that is written to as it is."""
    with pytest.raises(RuntimeError, match=r"cat.*lists"):
        Replays()(lambda x: torch.cat([x, x]), torch.zeros(2))
    with pytest.raises(RuntimeError, match=r"copy_.*writes"):
        Replays()(lambda x: torch.empty(2).copy_(x), torch.zeros(2))
