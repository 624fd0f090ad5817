"""What a GPU would be given by a fused network: launches of kernels, and calls of torch's own."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.measure.traffic import is_operator
from se_models.fused.cuda.arrivals import COUNTERS
from se_models.fused.cuda.dispatch import Operators
from se_models.fused.operators import NAMESPACE
from se_models.fused.rewrite import FusedResNet
from tests.se_models.fused.cuda.emulator import Recorder


def launches(network: FusedResNet, images: Tensor) -> tuple[Counter[str], list[int]]:
    """By their operators; and how many each block has.

    Args:
        network: on the meta device, where nothing is computed and nothing is as on a CPU.
        images: likewise.
    """
    ends = []
    mode = _Launches()
    hooks = [
        block.register_forward_hook(lambda *_: ends.append(mode.names.total()))
        for block in network.blocks
    ]
    ahead = network.blocks[0].register_forward_pre_hook(lambda *_: ends.append(mode.names.total()))
    with torch.no_grad(), mode:
        network(images)
    for hook in (ahead, *hooks):
        hook.remove()
    return mode.names, [end - start for start, end in pairwise(ends)]


class _Launches(TorchDispatchMode):
    """Counts what does work: torch's operators that are no views, and kernels by their operator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()
        self._recorder = Recorder()
        counters = torch.zeros(COUNTERS, dtype=torch.int32, device="meta")
        self._operators = Operators(self._recorder, lambda _device: counters)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func.namespace != NAMESPACE:
            self.names[func._opname] += is_operator(func)
            return func(*args, **(kwargs or {}))
        before = len(self._recorder.launches)
        with self:  # or copies would not be seen that it makes of what lies otherwise
            returned = getattr(self._operators, func._opname)(*args)
        self.names[func._opname] += len(self._recorder.launches) - before
        return returned
