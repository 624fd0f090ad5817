"""A forward as the operators that it comes to for one kind of input, called again without modules.

Between two operators of a model stand some levels of modules, and the questions
that they ask. Python's own work for that is small, but a convolution drives it
out of the caches, so that each time it comes from far away: for a single image
that is 4 % of a forward. What is asked and decided depends on the kind
of input alone, so that the calls it ends in can be made again, for other inputs
of the kind, by a loop that fits into a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import TorchDispatchMode, is_in_torch_dispatch_mode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from se_models.fused.packed import KINDS

Forward = Callable[[Tensor], Tensor]


class Replays:
    """The calls of operators that a forward comes to, for the latest kinds of input.

    With them the tensors are kept that they take, and so weights that were laid
    out for these kinds. The forward itself is given at every call: whoever owns
    both would otherwise be held by what it holds.

    Args:
        parts: modules that run within the forward; while any has a hook, it runs as it is.
    """

    def __init__(self, parts: Iterable[nn.Module] = ()) -> None:
        self._hooks = [*_GLOBAL_HOOKS]
        for part in parts:
            self._hooks += (part._forward_hooks, part._forward_pre_hooks)
        self._kept: dict[tuple[object, ...], _Calls] = {}

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """What ``forward``, always the same, makes of ``x``.

        It must decide by nothing but the shape, strides and dtype of ``x``, and by
        calls of operators alone come to a tensor that is new.
        """
        if not _can_replay(x) or any(self._hooks):
            return forward(x)
        kind = (x.shape, x.stride(), x.dtype)
        calls = self._kept.get(kind)
        if calls is not None:
            return calls(x)
        calls, output = _recorded(forward, x)
        while len(self._kept) >= KINDS:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[kind] = calls
        return output


def _can_replay(x: Tensor) -> bool:
    """Whether nobody but the caller looks at what is called for ``x``, and Python's work tells."""
    return (
        not torch.compiler.is_compiling()  # first, for a trace would hold the questions below
        and x.is_cpu
        and type(x) is Tensor
        and not is_in_torch_dispatch_mode()
        and not torch.is_autocast_enabled("cpu")
    )


_GLOBAL_HOOKS = (nn_module._global_forward_hooks, nn_module._global_forward_pre_hooks)


class _Call(NamedTuple):
    """Of an operator, on tensors each of which has a number."""

    operator: Callable[..., Any]
    arguments: list[Any]  # with None for tensors that follow from the input
    places: list[tuple[int, int]]  # of those: which argument, and the tensor's number
    results: list[int | None]  # the numbers of its results; None for what is one already
    dead: list[int]  # what nobody takes any more


class _Calls(NamedTuple):
    """All calls of a forward, in their order; the input has number 0."""

    calls: list[_Call]
    tensors: int
    output: int

    def __call__(self, x: Tensor) -> Tensor:
        values: list[Tensor | None] = [None] * self.tensors
        values[0] = x
        for operator, arguments, places, results, dead in self.calls:
            given = arguments.copy()
            for place, number in places:
                given[place] = values[number]
            _store(values, results, operator(*given))
            del given  # or what it holds would outlive the next call
            for number in dead:
                values[number] = None
        output = values[self.output]
        assert output is not None
        return output


def _store(values: list[Tensor | None], results: list[int | None], returned: Any) -> None:
    for number, value in zip(results, _several(returned), strict=True):
        if number is not None:
            values[number] = value


class _Recorder(TorchDispatchMode):
    """Notes the calls that follow from one tensor; what does not is made once."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._numbers = WeakTensorKeyDictionary([(x, 0)])
        self.calls: list[_Call] = []
        self.tensors = 1

    def number_of(self, tensor: Tensor) -> int:
        return self._numbers[tensor]

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> object:
        returned = func(*args, **(kwargs or {}))
        arguments, places = list(args), []
        for place, value in enumerate(args):
            if self._follows(value):
                arguments[place] = None
                places.append((place, self._numbers[value]))
        # Nothing that a twin calls takes tensors in any other way.
        assert len(places) == sum(map(self._follows, tree_leaves((args, kwargs)))), func
        if places:
            operator = partial(func, **kwargs) if kwargs else func
            results = [self._numbered(value) for value in _several(returned)]
            self.calls.append(_Call(operator, arguments, places, results, []))
        return returned

    def _follows(self, value: object) -> bool:
        """Whether it is the input, or was made of it."""
        return isinstance(value, Tensor) and value in self._numbers

    def _numbered(self, value: Tensor) -> int | None:
        """The number that a result is given; None for what has one, being changed in place."""
        if value in self._numbers:
            return None
        self._numbers[value] = self.tensors
        self.tensors += 1
        return self.tensors - 1


def _recorded(forward: Forward, x: Tensor) -> tuple[_Calls, Tensor]:
    with _Recorder(x) as recorder:
        output = forward(x)
    calls = _Calls(recorder.calls, recorder.tensors, recorder.number_of(output))
    seen = {calls.output}
    for call in reversed(calls.calls):
        for number in (*(number for _, number in call.places), *call.results):
            if number is not None and number not in seen:
                seen.add(number)
                call.dead.append(number)
    return calls, output


def _several(returned: Any) -> Any:
    """What an operator returns, as a sequence."""
    if returned is None:
        return ()
    return (returned,) if isinstance(returned, Tensor) else returned
