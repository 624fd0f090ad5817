"""By how much a process grows: the resident set at its peak, in processes that are fresh and cheap.

A peak can be told only once per process: memory that is freed is not all
given back, and what comes next fills the holes unseen. So every measurement
needs a process of its own; but one that is started anew spends seconds on
importing torch. A fork of a process that has imported torch, and has done
nothing with it, is as fresh and costs milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, nn

from bench.measure.failure import ran_out_of_memory
from bench.trial import Device

T = TypeVar("T")

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"

# Hundreds of times what the warm-up takes.
WARM_UP_LIMIT_S = 60


@torch.no_grad()
def warm_runtime(device: Device = "cpu") -> None:
    """One forward of a tiny network: what the first operators of a process cost is spent.

    The pages of torch's libraries that they run from, its thread pool with its
    stacks, the tables of its kernels, and on a GPU cuBLAS's workspace, are the
    runtime's, not the model's.
    """
    network, example = tiny_network(device)
    network(example)


def tiny_network(device: Device = "cpu") -> tuple[nn.Module, Tensor]:
    """A network of a ResNet's operators, and its input: just large enough for the thread pool."""
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 16),
        nn.Sigmoid(),
    ).eval()
    return network.to(device), torch.zeros(1, 3, 128, 128, device=device)


def resident_growth(
    build_and_run: Callable[[], object], warm_up: Callable[[], object] = warm_runtime
) -> int | None:
    """By how many bytes the peak resident set of this process grew over ``build_and_run``.

    From /proc/self/status, where VmRSS is what is resident now and VmHWM the
    most that ever was. ``getrusage``'s ``ru_maxrss`` will not do: it survives
    exec, so that a small process reports its parent's peak. The kernel counts
    pages in batches, which makes both figures good to about a megabyte.

    Args:
        build_and_run: what is measured; call this in a fresh process.
        warm_up: what is called first, and is not measured. The process dies of
            SIGALRM if it hangs, as it does in a fork of one that ran operators.

    Returns:
        None where there is no /proc, or where a higher peak of the past hid
        this one and the kernel does not let it be reset.
    """
    if not STATUS.exists():
        return None
    with _death_after(WARM_UP_LIMIT_S):
        warm_up()
    # VmHWM never falls by itself: the warm-up's peak would stand for what comes after it.
    is_reset = forget_peak()
    resident, earlier_peak = _status_bytes("VmRSS"), _status_bytes("VmHWM")
    build_and_run()
    peak = _status_bytes("VmHWM")
    if peak == earlier_peak and not is_reset:
        return None
    return peak - resident


def give_back_free_memory() -> None:
    """Give the kernel what is allocated to nobody, lest holes of the past be filled unseen.

    A fork inherits its parent's heap, free parts included, and they are as
    resident as the rest. Only glibc offers this, and only glibc hoards so.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def _death_after(seconds: int) -> Iterator[None]:
    """No exception will do: a thread that waits inside a library runs no Python."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def forget_peak() -> bool:
    """Let the peak be what is resident now, free memory given back; False if it cannot be reset."""
    give_back_free_memory()
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _status_bytes(field: str) -> int:
    for line in STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            kibibytes, _unit = value.split()
            return int(kibibytes) * 1024
    raise RuntimeError(f"{STATUS} has no {field}")


def measure_in_fork(fn: Callable[[], T]) -> T:
    """What ``fn`` returns, called in a fork of this process.

    This process must not have run an operator on several threads: the fork
    would inherit a thread pool without its threads, and wait for them for ever.

    Args:
        fn: what it returns must survive JSON.

    Raises:
        MemoryError: if memory ran out, or the child was killed as the kernel
            kills when it does.
        RuntimeError: naming the signal that ended the child, or what it raised.
    """
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of any second thread; numpy's pool, which is there from its
        # import, is made for forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(read_end)
        _answer(fn, write_end)
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as pipe:
            reply = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    result: T = _result(reply, os.waitstatus_to_exitcode(status))
    return result


def _answer(fn: Callable[[], object], pipe: int) -> NoReturn:
    """The child's whole life; it leaves without the parent's exit handlers and buffers."""
    code = 1
    try:
        reply = _reply(fn)
        with os.fdopen(pipe, "wb") as file:
            file.write(reply)
        code = 0
    finally:
        os._exit(code)


def _reply(fn: Callable[[], object]) -> bytes:
    try:
        return json.dumps({"result": fn()}).encode()
    except Exception as error:
        return json.dumps(
            {
                "error": f"{type(error).__name__}: {error}",
                "out_of_memory": ran_out_of_memory(error),
            }
        ).encode()


def _result(reply: bytes, exit_code: int) -> Any:
    if exit_code == -signal.SIGKILL:
        raise MemoryError("killed by SIGKILL, as the kernel does when memory runs out")
    if exit_code == -signal.SIGALRM:
        raise RuntimeError("hung at its first operator: the process had run some before it forked")
    if exit_code < 0:
        raise RuntimeError(f"killed by {signal.Signals(-exit_code).name}")
    if exit_code > 0:
        raise RuntimeError(f"exited with status {exit_code} and without a result")
    answer = json.loads(reply)
    if "error" not in answer:
        return answer["result"]
    raise (MemoryError if answer["out_of_memory"] else RuntimeError)(answer["error"])
