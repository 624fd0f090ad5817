"""All that can be counted of a trial, from shapes alone: it is the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from torch import nn

from bench.measure.arithmetic import count_arithmetic
from bench.measure.dispatch import Watch, meta_twin, on_meta
from bench.measure.liveness import LiveBytes
from bench.measure.paths import transformed
from bench.measure.subject import DTYPES, MEMORY_FORMATS, example_shapes
from bench.measure.traffic import Traffic
from bench.record import Counts
from bench.trial import Trial
from se_models.resnet import se_modules


def count(trial: Trial, model: nn.Module) -> Counts:
    """The counts of a trial: of one eager forward in eval mode under ``no_grad``.

    A CUDA workload is counted by the operators that the CPU is given. What a
    transform changes is operators, bytes and live bytes; arithmetic is counted
    as the model is written.

    Args:
        trial: its workload says dtype, layout, batch and size.
        model: the trial's network in eval mode. It is only read, so it may
            share its trunk's tensors, and only its shapes are, so it may as
            well be on the meta device.

    Raises:
        ValueError: if the model is in training mode.
        UncountedError: naming the operators that nothing here counts.
        RuntimeError: if two ways of counting the same disagree.
    """
    workload = trial.workload
    dtype = DTYPES[workload.dtype]
    memory_format = MEMORY_FORMATS[workload.layout]
    example = example_shapes(workload)
    twin = meta_twin(model, dtype=dtype, memory_format=memory_format)
    arithmetic = count_arithmetic(twin, example)
    traffic = Traffic()
    executed = transformed(twin, trial.path.transform)
    live = LiveBytes(chain(executed.parameters(), executed.buffers(), (example,)))
    with on_meta(executed), Watch(traffic, live):
        executed(example)
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


def _elements(parameters: Iterator[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
