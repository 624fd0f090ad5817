"""A process that counts trials for the exact gate: ``python -m bench.measure.exact``.

It is given trials as a JSON list, and tells first the versions it counts with,
then an Exact a line, in the order of the trials.
"""

from __future__ import annotations

import sys

import msgspec
import torch
import torchvision
from torchvision.models import ResNet

from bench.exact import Exact, Told, Versions
from bench.measure.counts import count
from bench.measure.dispatch import meta_twin
from bench.measure.paths import transformed
from bench.measure.subject import DTYPES, MEMORY_FORMATS, build_shapes, example_shapes
from bench.trial import Trial


def main() -> None:
    """Count what stands on the standard input."""
    trials = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Trial])
    torch.set_num_threads(1)
    _tell(
        Versions(
            torch=_public(torch.__version__),
            torchvision=_public(torchvision.__version__),
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
        )
    )
    for trial in trials:
        _tell(exact(trial))


def _public(version: str) -> str:
    """Without what tells builds for CPUs and GPUs apart, in which no count differs."""
    return version.partition("+")[0]


def exact(trial: Trial) -> Exact:
    """All that the gate compares of one trial.

    Raises:
        UncountedError: naming the operators that nothing counts.
        RuntimeError: if two ways of counting the same disagree.
    """
    model = build_shapes(trial.variant).eval()
    graphs, breaks, operators = _traced(trial, model)
    return Exact(count(trial, model), graphs, breaks, operators)


def _traced(trial: Trial, model: ResNet) -> tuple[int, int, int]:
    """What torch's compiler takes down of a forward: graphs, breaks between them, calls in them."""
    workload = trial.workload
    dtype, memory_format = DTYPES[workload.dtype], MEMORY_FORMATS[workload.layout]
    twin = transformed(
        meta_twin(model, dtype=dtype, memory_format=memory_format), trial.path.transform
    )
    example = example_shapes(workload)
    torch._dynamo.reset()  # or it would remember the model before
    with torch.no_grad():
        found = torch._dynamo.explain(twin)(example)
    return found.graph_count, found.graph_break_count, found.op_count


def _tell(told: Told) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
