"""Launches for the sanitizers: every instance, epilogue and layout, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from bench.measure.agreement import exact_gates
from se_models.fused.cuda.compiler import kernels
from se_models.fused.cuda.dispatch import IMAGES, Operators
from se_models.fused.cuda.launch import Launch
from tests.se_models.fused.cuda.emulator import Recorder, arrivals
from tests.se_models.fused.maps import (
    EPILOGUES,
    LAYOUTS,
    drawn,
    exact_tail,
    tail_arguments,
    unaligned,
)

Shape = tuple[int, int, int, int]
Check = tuple[Tensor, Tensor]
# Copies that start where sixteen bytes do, and one element past that.
_PLACES: tuple[Callable[[Tensor], Tensor], ...] = (torch.clone, unaligned)
# The excitation by groups of images, of which the last need not be full.
_IN_GROUPS = f"excite<{IMAGES}>"


@dataclass(frozen=True)
class Work:
    """Launches that were recorded, and their results beside float64's once they ran."""

    launches: list[Launch]
    checks: list[Check]


def work(shapes: Sequence[Shape], dtype: torch.dtype, *, odd_operands: bool) -> Work:
    """Every operator on maps of both layouts, aligned and not, with all that it may be given.

    Args:
        shapes: of the maps.
        dtype: of the maps.
        odd_operands: whether aligned maps come with each other operand unaligned, too.
    """
    torch.manual_seed(0)
    recorder = Recorder()
    ours = Operators(recorder, arrivals)
    checks: list[Check] = []
    for shape, layout in product(shapes, LAYOUTS):
        for moved in _PLACES:
            checks += _maps(ours, drawn(*shape, dtype=dtype, layout=layout), moved, layout)
        if odd_operands:
            checks += _one_unaligned(ours, drawn(*shape, dtype=dtype, layout=layout), layout)
    # By one block or by two that meet, of rows that sixteen bytes divide and of others; of images
    # whose last group is full and of others.
    for (hidden, channels), batch, biased in product(((3, 19), (11, 24)), (1, 3, 4), (True, False)):
        checks.append(_excitation(ours, hidden, channels, batch, dtype, biased=biased))
    return Work(recorder.launches, checks)


def _maps(
    ours: Operators, x: Tensor, moved: Callable[[Tensor], Tensor], layout: Any
) -> Iterator[Check]:
    given = moved(x)
    yield ours.squeeze(given, True), x.double().clamp_min(0).mean((2, 3))
    gate = torch.rand(x.shape[:2])
    for stride in (1, 2):
        exact = x.double()[:, :, ::stride, ::stride] * gate.double()[:, :, None, None]
        yield ours.scale(given, gate, stride), exact
    for letters in EPILOGUES:
        arguments = tail_arguments(tuple(x.shape), x.dtype, letters, layout)
        exact = exact_tail(x, *arguments)
        with_means, without = moved(x), moved(x)
        yield ours.tail_squeeze_(with_means, *arguments), exact.mean(dim=(2, 3))
        ours.tail_(without, *arguments)
        yield with_means, exact
        yield without, exact


def _one_unaligned(ours: Operators, x: Tensor, layout: Any) -> Iterator[Check]:
    """An aligned map beside one operand that is not, whose address alone forbids wide accesses."""
    gate = unaligned(torch.rand(x.shape[:2]))
    yield ours.scale(x, gate, 1), x.double() * gate.double()[:, :, None, None]
    for letters, odd in (("s", 0), *(("sgbh", each) for each in range(4))):
        arguments = [
            unaligned(given) if given is not None and place == odd else given
            for place, given in enumerate(tail_arguments(tuple(x.shape), x.dtype, letters, layout))
        ]
        exact = exact_tail(x, *arguments)
        with_means, without = x.clone(), x.clone()
        yield ours.tail_squeeze_(with_means, *arguments), exact.mean(dim=(2, 3))
        ours.tail_(without, *arguments)
        yield with_means, exact
        yield without, exact


def _excitation(
    ours: Operators, hidden: int, channels: int, batch: int, dtype: torch.dtype, *, biased: bool
) -> Check:
    squeezed, weight1 = drawn(batch, channels), drawn(hidden, channels, dtype=dtype)
    # With biases it lies unit by unit, without them gate by gate.
    weight2 = (
        drawn(hidden, channels, dtype=dtype).t() if biased else drawn(channels, hidden, dtype=dtype)
    )
    bias1, bias2, factor = (
        (drawn(hidden, dtype=dtype), drawn(channels, dtype=dtype), torch.rand(channels))
        if biased
        else (None, None, None)
    )
    given = (weight1, bias1, weight2, bias2, factor)
    return ours.excite(squeezed, *given), exact_gates(squeezed, given)


def every_case(dtype: torch.dtype) -> set[str]:
    """What `cases` must hold for nothing to be left out."""
    cases = set()
    for kernel in kernels(dtype):
        if kernel.startswith("excite"):
            several = ("by one block", "by several")
            last = ("full", "not full") if kernel == _IN_GROUPS else ("full",)
            cases |= {" ".join((kernel, *each)) for each in product(("", "biased"), several, last)}
        elif kernel.startswith("tail"):
            with_means = "means" in kernel or kernel.endswith("true>")
            alike = {"", "s"}  # of all channels, for which there is another kernel without means
            letters = alike if kernel == "tail_run" else set(EPILOGUES)
            if kernel != "tail_run" and not with_means:
                letters -= alike
            cases |= {f"{kernel} {each}" for each in letters}
        else:
            cases.add(kernel)
    return cases


def cases(launches: Sequence[Launch], ran: Sequence[str]) -> set[str]:
    """Which instances ran, each with what it was given.

    Args:
        launches: as they were asked for.
        ran: the kernels that a program says it has come to the end of, one for each launch.
    """
    return {_case(kernel, launch) for kernel, launch in zip(ran, launches, strict=True)}


def _case(kernel: str, launch: Launch) -> str:
    given = [each is not None for each in launch.arguments]
    if kernel.startswith("excite"):
        several = "by several" if launch.blocks[0] > 1 else "by one block"
        images = next(each for each in launch.arguments if isinstance(each, int))
        last = "not full" if kernel == _IN_GROUPS and images % IMAGES else "full"
        return f"{kernel} {'biased' if given[2] else ''} {several} {last}"
    if kernel.startswith("tail"):
        letters = "s" * given[1] if kernel == "tail_run" else _letters(given)
        return f"{kernel} {letters}"
    return kernel


def _letters(given: Sequence[bool]) -> str:
    return "".join(letter for letter, there in zip("sgbh", given[1:5], strict=True) if there)
