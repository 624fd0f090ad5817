"""A forward as the operators that it comes to for one kind of input, called again without modules.

Between two operators of a model stand some levels of modules, and the questions
that they ask. Python's own work for that is small, but a convolution drives it
out of the caches, so that each time it comes from far away, which tells where there
is but one image to compute on. What is asked and decided depends on the kind
of input alone, so that the calls it ends in can be made again, for other inputs
of the kind, by a loop that fits into a cache.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import TorchDispatchMode, is_in_torch_dispatch_mode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from se_models.fused.latest import KINDS, Latest
from se_models.fused.packed import is_traced

Forward = Callable[[Tensor], Tensor]

_GLOBAL_HOOKS = (nn_module._global_forward_hooks, nn_module._global_forward_pre_hooks)

# Torch notes in one place for all threads whether a mode is on: two that come and go in turns
# would leave it wrong.
_recording = threading.Lock()


class Replays:
    """The calls of operators that a forward comes to, for the kinds of input that were used last.

    With them the tensors are kept that they take, and so weights that were laid
    out for these kinds. The forward itself is given at every call: a method of
    whoever owns this, kept here, would be a cycle of references.

    Args:
        parts: modules that run within the forward. While any of them has a hook, the
            forward runs as it is, and so it does if one was compiled before it came
            to be recorded.
        kinds: for how many kinds they are kept.
    """

    def __init__(self, parts: Iterable[nn.Module] = (), *, kinds: int = KINDS) -> None:
        self._parts = tuple(parts)
        self._hooks = [*_GLOBAL_HOOKS]
        for part in self._parts:
            self._hooks += (part._forward_hooks, part._forward_pre_hooks)
        # Weakly, for a part may let go of what it has laid out.
        self._own = [
            (part._buffers, name, weakref.ref(tensor))
            for part in self._parts
            for name, tensor in part._buffers.items()
            if tensor is not None
        ]
        self._kept = Latest[_Recording](kinds)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """What ``forward``, always the same, makes of ``x``.

        It must decide by nothing but the shape, strides and dtype of ``x``, and by
        calls of operators alone come to a tensor that is new.

        Raises:
            RuntimeError: if another tensor is in the place of a part's own, which may be laid
                out or kept for later calls, as `torch.func.functional_call` puts it there.
        """
        if type(x) is Tensor and not is_traced():
            self._refuse_others()
        if not _can_replay(x) or any(self._hooks):
            return forward(x)
        kind = (x.shape, x.stride(), x.dtype)
        recording = self._kept.get(kind)
        if recording is not None:
            return recording(x)
        return self._record(forward, x, kind)

    def _refuse_others(self) -> None:
        for buffers, name, own in self._own:
            tensor = buffers[name]
            if tensor is not None and tensor is not own():
                raise RuntimeError(
                    f"a twin lays out its own tensors and keeps them, got another {name} for a "
                    "call: load a state dict, or make a twin of another model"
                )

    def _record(self, forward: Forward, x: Tensor, kind: tuple[object, ...]) -> Tensor:
        compiled = any(part._compiled_call_impl is not None for part in self._parts)
        if compiled or not _recording.acquire(blocking=False):
            return forward(x)
        try:
            recording, output = _recorded(forward, x)
        finally:
            _recording.release()
        if recording is not None:
            self._kept.keep(kind, recording)
        return output


def _can_replay(x: Tensor) -> bool:
    """Whether nobody looks at how ``x`` is computed on, on a device where Python's work tells."""
    return (
        not is_traced()  # first, for a trace would hold the questions below
        and x.is_cpu
        and type(x) is Tensor
        and not is_in_torch_dispatch_mode()
        and not torch.is_autocast_enabled("cpu")
        and bool(torch.backends.mkldnn.enabled)  # or the calls would be others
    )


class _Call(NamedTuple):
    """Of an operator, on tensors each of which has a number."""

    operator: Callable[..., Any]
    arguments: list[Any]  # with None for tensors that follow from the input
    places: list[tuple[int, int]]  # of those: which argument, and the tensor's number
    results: list[int | None]  # the numbers of its results; None for what has one already
    dead: tuple[int, ...] = ()  # what nobody takes any more

    def numbers(self) -> list[int]:
        """Of all tensors that it takes or makes, each once."""
        found = (*(number for _, number in self.places), *self.results)
        return [*dict.fromkeys(number for number in found if number is not None)]


class _Recording(NamedTuple):
    """All calls of a forward, in their order; its input has number 0."""

    calls: list[_Call]
    tensors: int  # how many there are
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


def _recorded(forward: Forward, x: Tensor) -> tuple[_Recording | None, Tensor]:
    """The output, and its recording, or None if nobody saw how it follows from ``x``.

    So it is of tensors that stand for others, as those under `torch.func.vmap`.
    """
    with _Recorder(x) as recorder:
        output = forward(x)
    number = recorder.number_of(output)
    if number is None:
        return None, output
    return _Recording(_mortal(recorder.calls, number), recorder.tensors, number), output


def _mortal(calls: list[_Call], output: int) -> list[_Call]:
    """The same calls, each with those tensors dead that it is the last to take or make."""
    wanted, mortal = {output}, []
    for call in reversed(calls):
        mortal.append(call._replace(dead=tuple(n for n in call.numbers() if n not in wanted)))
        wanted.update(call.numbers())
    return mortal[::-1]


class _Recorder(TorchDispatchMode):
    """Notes the calls that follow from one tensor; what does not is made once."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._numbers = WeakTensorKeyDictionary([(x, 0)])
        self.calls: list[_Call] = []
        self.tensors = 1

    def number_of(self, value: object) -> int | None:
        """Of the input, or of what was made of it."""
        number: int | None = self._numbers.get(value) if isinstance(value, Tensor) else None
        return number

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> object:
        known = [self.number_of(value) for value in args]
        places = [(place, number) for place, number in enumerate(known) if number is not None]
        _check(func, known, sum(self.number_of(x) is not None for x in tree_leaves((args, kwargs))))
        returned = func(*args, **(kwargs or {}))
        if places:
            arguments = [
                value if number is None else None for value, number in zip(args, known, strict=True)
            ]
            operator = partial(func, **kwargs) if kwargs else func
            results = [self._numbered(value) for value in _several(returned)]
            self.calls.append(_Call(operator, arguments, places, results))
        return returned

    def _numbered(self, value: Tensor) -> int | None:
        """The number that a result is given; None for what has one, being changed in place."""
        if value in self._numbers:
            return None
        self._numbers[value] = self.tensors
        self.tensors += 1
        return self.tensors - 1


def _check(func: Any, known: list[int | None], taken: int) -> None:
    """Refuse calls that would not do the same again; no twin makes any.

    Args:
        func: the operator.
        known: for each argument, the number of the tensor that it is.
        taken: how many tensors with numbers there are in its arguments, in lists, too.
    """
    if taken != len(known) - known.count(None):
        raise RuntimeError(f"{func} takes tensors in lists or by keyword, which is not replayed")
    declared = func._schema.arguments
    for argument, number in zip(declared, known, strict=False):
        writes = argument.alias_info is not None and argument.alias_info.is_write
        if taken and writes and number is None:
            raise RuntimeError(f"{func} writes into a tensor that would be kept, not made anew")


def _several(returned: Any) -> Any:
    """What an operator returns, as a sequence."""
    if returned is None:
        return ()
    return (returned,) if isinstance(returned, Tensor) else returned
