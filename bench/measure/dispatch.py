"""One forward, on meta tensors where that will do, seen operator call by operator call.

On PyTorch's ``meta`` device an operator yields tensors of the right shape,
dtype and layout and computes nothing, so a forward of any batch costs neither
arithmetic nor memory, and its calls are those that the CPU would be given. A
fused twin's are not: on the CPU its convolutions take along what stands around
them, and elsewhere nothing, so that there it has to run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator, with every tensor that went in, and came out or was changed."""

    operator: OpOverload
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Observer(Protocol):
    def see(self, call: Call) -> None:
        """Take note of a call that has just returned."""


class Watch(TorchDispatchMode):
    """While entered, shows every operator call to its observers, on any device."""

    def __init__(self, *observers: Observer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._observers = observers

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        inputs = chain(_tensors(args), _tensors(options.values()))
        outputs = chain(_tensors((result,)), _changed(func, args))
        call = Call(func, tuple(args), options, tuple(inputs), tuple(outputs))
        for observer in self._observers:
            observer.see(call)
        return result


def meta_twin(
    model: nn.Module,
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> nn.Module:
    """`blank_twin` on the meta device."""
    return blank_twin(model, "meta", dtype=dtype, memory_format=memory_format)


def blank_twin(
    model: nn.Module,
    device: str,
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> nn.Module:
    """A copy of ``model`` on ``device``, all zeros; itself if it has that dtype and layout there.

    Floating-point tensors take ``dtype`` and those of four dimensions
    ``memory_format``, as ``model.to(dtype=..., memory_format=...)`` has it.
    """

    def blank(tensor: Tensor) -> Tensor:
        return torch.empty(
            tensor.shape,
            dtype=dtype if tensor.is_floating_point() else tensor.dtype,
            memory_format=memory_format if tensor.dim() == 4 else torch.contiguous_format,
            device=device,
        ).zero_()

    twins = [(tensor, blank(tensor)) for tensor in chain(model.parameters(), model.buffers())]
    if all(_signature(tensor) == _signature(twin) for tensor, twin in twins):
        return model
    # What deepcopy finds in its memo it takes in place of a copy: no weight is read.
    return copy.deepcopy(model, {id(tensor): twin for tensor, twin in twins})


def memory_of(tensor: Tensor) -> tuple[int, int]:
    """What tells the memory that a tensor lies in from any other that is alive, and its bytes.

    Of weights that oneDNN has laid out torch knows no storage. Their bytes are
    those of their values, which on every CPU are as many; padding is left out.
    """
    if tensor.is_mkldnn:
        return id(tensor), tensor.nbytes
    storage = tensor.untyped_storage()
    # Each call of untyped_storage() may wrap it anew; the address is the identity.
    return storage._cdata, storage.nbytes()


@contextmanager
def on_meta(model: nn.Module) -> Iterator[None]:
    """Around forwards of a meta model; a mode that is to see its calls is entered after it.

    It is ``no_grad``, since ``inference_mode`` would hide the transients
    inside composite operators. Hooks on the model's modules do not run.
    """
    with torch.no_grad(), _Remembered(), _called_directly(model):  # type: ignore[no-untyped-call]
        yield


@contextmanager
def _called_directly(model: nn.Module) -> Iterator[None]:
    """Calling a module of the model calls its ``forward`` and nothing else.

    The tracer walks Python's whole stack for each of its nodes, and three of
    four frames there are of ``nn.Module``'s machinery.
    """
    kinds = {type(module) for module in model.modules()}
    kinds.discard(nn.Module)  # a mere container; all modules would lose their calls with it
    plain = [kind for kind in kinds if kind.__call__ is nn.Module.__call__]
    for kind in plain:
        kind.__call__ = kind.forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        for kind in plain:
            del kind.__call__


_BATCH_NORM_TRAINING = 5  # the place of ``training`` among native_batch_norm's arguments

# The signature of what an operator returned, by the operator and that of its arguments.
_ANSWERS: dict[tuple[OpOverload, Any], Any] = {}


class _Remembered(TorchDispatchMode):
    """Answers from memory what an operator returns for tensors of given shapes.

    Many meta kernels are Python (batch normalisation alone is a hundred
    calls), and a ResNet, let alone a grid of them, asks the same questions
    again and again: remembering them makes a meta forward ten times faster.
    Views and in-place operators are cheap there, and run, since what they
    return is tied to what they were given.
    """

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if kwargs or func.is_view or func._schema.is_mutable:
            return func(*args, **(kwargs or {}))
        question = (func, _signature(args))
        if question in _ANSWERS:
            return _fresh(_ANSWERS[question])
        result = _as_on_cpu(func, args, func(*args))
        outputs = result if isinstance(result, tuple) else (result,)
        if all(isinstance(output, Tensor) for output in outputs):
            _ANSWERS[question] = _signature(result)
        return result


def _as_on_cpu(func: OpOverload, args: Any, result: Any) -> Any:
    """What the CPU's kernel returns, where the meta kernel says otherwise."""
    if func is torch.ops.aten.native_batch_norm.default and not args[_BATCH_NORM_TRAINING]:
        output, *saved = result  # in eval mode the CPU saves no statistics
        return output, *(statistics.new_empty(0) for statistics in saved)
    return result


@dataclass(frozen=True, slots=True)
class _Like:
    """All of a tensor but its storage."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def _signature(value: Any) -> Any:
    """``value`` with a _Like for every tensor, hashable; numbers are told apart by type."""
    if isinstance(value, Tensor):
        return _Like(value.shape, value.stride(), value.dtype, value.device)
    if isinstance(value, (list, tuple)):
        return tuple(map(_signature, value))
    return type(value), value


def _fresh(answer: Any) -> Any:
    """What has the signature ``answer``: a new tensor, or a tuple of them."""
    if isinstance(answer, _Like):
        return torch.empty_strided(
            answer.shape, answer.stride, dtype=answer.dtype, device=answer.device
        )
    return tuple(map(_fresh, answer))


def _changed(func: OpOverload, args: Any) -> Iterator[Tensor]:
    """What an operator writes into; that of an in-place operator need not come out of it."""
    for value, described in zip(args, func._schema.arguments, strict=False):
        if described.alias_info is not None and described.alias_info.is_write:
            yield from _tensors((value,))


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
