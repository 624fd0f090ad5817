"""All that can be counted of a trial: it depends on shapes, and is the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from bench.measure.arithmetic import count_arithmetic
from bench.measure.dispatch import Watch, blank_twin, meta_twin, on_meta
from bench.measure.liveness import LiveBytes
from bench.measure.paths import transformed
from bench.measure.subject import DTYPES, MEMORY_FORMATS, example_shapes
from bench.measure.traffic import Traffic
from bench.record import Counts
from bench.trial import Trial
from se_models.fused.kernels import missing
from se_models.resnet import se_modules


def count(trial: Trial, model: nn.Module) -> Counts:
    """The counts of a trial: of one eager forward in eval mode under ``no_grad``.

    What a transform changes is operators, bytes and live bytes; arithmetic is
    counted as the model is written. Nothing is computed but by fused twins for
    the CPU, whose weights are laid out by a first forward: the second one is
    counted. All others are counted by the operators that the CPU would be given.

    Args:
        trial: its workload says dtype, layout, batch and size.
        model: the trial's network in eval mode. It is only read, so it may
            share its trunk's tensors, and only its shapes are, so it may as
            well be on the meta device.

    Raises:
        ValueError: if the model is in training mode.
        UncountedError: naming the operators that nothing here counts.
        RuntimeError: if two ways of counting the same disagree, or a fused twin
            has no kernels to run with.
    """
    workload = trial.workload
    dtype = DTYPES[workload.dtype]
    memory_format = MEMORY_FORMATS[workload.layout]
    example = example_shapes(workload)
    twin = meta_twin(model, dtype=dtype, memory_format=memory_format)
    arithmetic = count_arithmetic(twin, example)
    if trial.counts_depend_on_device and workload.device == "cpu":
        executed, example = _on_cpu(trial, model), torch.zeros_like(example, device="cpu")
    else:
        executed = transformed(twin, trial.path.transform)
    traffic, live = _watched(executed, example)
    if executed is twin and traffic.elementwise_outputs != arithmetic.elementwise_ops:
        raise RuntimeError(
            f"the trace has {arithmetic.elementwise_ops} element-wise operations and the "
            f"dispatcher {traffic.elementwise_outputs}: an operator is counted by one alone"
        )
    return Counts(
        trial=trial,
        params=_elements(model.parameters()),
        se_params=sum(_elements(block.se.parameters()) for _, block in se_modules(model)),
        macs=arithmetic.macs,
        elementwise_ops=arithmetic.elementwise_ops,
        ideal_bytes=traffic.ideal_bytes,
        operators=traffic.operators,
        live_peak_bytes=live.peak_bytes,
    )


def _on_cpu(trial: Trial, model: nn.Module) -> nn.Module:
    """What a fused trial executes on the CPU, made of zeros.

    Raises:
        RuntimeError: if it would not be executed by kernels.
    """
    if (why := missing("cpu")) is not None:
        raise RuntimeError(f"fused blocks on the CPU are counted by their kernels: {why}")
    dtype, memory_format = DTYPES[trial.workload.dtype], MEMORY_FORMATS[trial.workload.layout]
    blank = blank_twin(model, "cpu", dtype=dtype, memory_format=memory_format)
    return transformed(blank, trial.path.transform)


def _watched(model: nn.Module, example: Tensor) -> tuple[Traffic, LiveBytes]:
    """A forward's operators, and what is alive, once all that is made only once has been."""
    with on_meta(model) if example.is_meta else torch.no_grad():
        if not example.is_meta:
            model(example)
        traffic = Traffic()
        live = LiveBytes(chain(model.parameters(), model.buffers(), (example,)))
        with Watch(traffic, live):
            model(example)
    return traffic, live


def _elements(parameters: Iterator[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
