"""torch.compile with its default backend; freezing makes constants of weights, and packs them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FunctionType

import torch
from torch import Tensor, nn

from bench.measure.paths.executor import Forward, without_cuda
from bench.trial import Trial

_numbers = count()


class Compile:
    """The whole forward as one graph, for the shape of its input."""

    def __init__(self, *, freezing: bool) -> None:
        self._freezing = freezing

    def unsupported(self, trial: Trial) -> str | None:
        compiler = os.environ.get("CXX", "g++")  # as the backend has it
        if trial.workload.device == "cpu" and shutil.which(compiler) is None:
            return f"torch.compile needs the C++ compiler {compiler}"
        return without_cuda(trial)

    def prepare(self, model: nn.Module, example: Tensor) -> Forward:
        def forward() -> Tensor:
            output: Tensor = model(example)
            return output

        compiled: Forward = torch.compile(_by_itself(forward), fullgraph=True, dynamic=False)
        # What is compiled holds for the mode it is first called in, which is that of the rounds.
        # Weights are constants only if the configuration says so while they are traced, then;
        # the option of torch.compile reaches the backend alone, which is given them as inputs.
        with torch.inference_mode(), torch._inductor.config.patch(freezing=self._freezing):
            compiled()
        return compiled


def keep_code_in(folder: Path, *, threads: int) -> None:
    """Compiled code goes there, and is found there: what another folder holds is not.

    Code is made for a number of threads, by which not every version of torch finds it.
    """
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / f"{threads}t")


def _by_itself(function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The function with a code object of its own.

    What was compiled is kept by code object, up to a limit, and every call
    looks through all of it: arms that shared one would slow each other down.
    """
    assert isinstance(function, FunctionType)
    name = f"{function.__name__}_{next(_numbers)}"
    code = function.__code__.replace(co_name=name)
    return FunctionType(code, function.__globals__, name, None, function.__closure__)
