"""What torch is set to while a benchmark is called: gradients, autocast, threads.

torch is looked at where a test has imported it, and never imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

DEVICES = ("cpu", "cuda")
# The context managers whose effect is held here; a test's other `with` blocks are not.
HELD_CONTEXTS = frozenset(
    {"inference_mode", "no_grad", "enable_grad", "set_grad_enabled", "autocast"}
)


class TorchState(NamedTuple):
    """torch's settings of one moment.

    Attributes:
        inference, grad: the modes.
        autocast: a device, on or off, and a dtype each.
        casts: whether autocast is on anywhere. Then a first call pays for casting
            weights, which later ones find cast.
        caches_casts: whether they do.
        threads: within an operator.
    """

    inference: bool
    grad: bool
    autocast: tuple[tuple[str, bool, Any], ...]
    casts: bool
    caches_casts: bool
    threads: int

    def holds(self) -> bool:
        """Whether torch is set so already; asked before every turn, so by few calls.

        With autocast it never does: then the settings are entered anyway.
        """
        torch = sys.modules["torch"]
        return (
            not self.casts
            and torch.is_grad_enabled() is self.grad
            and torch.is_inference_mode_enabled() is self.inference
            and torch.get_num_threads() == self.threads
            and not (torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"))
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The settings, for the length of a ``with`` block."""
        torch = sys.modules["torch"]
        threads = torch.get_num_threads()
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self.inference))
            stack.enter_context(torch.set_grad_enabled(self.grad))
            for device, enabled, dtype in self.autocast:
                stack.enter_context(
                    torch.autocast(device, dtype, enabled, cache_enabled=self.caches_casts)
                )
            if threads != self.threads:
                torch.set_num_threads(self.threads)
                stack.callback(torch.set_num_threads, threads)
            yield


def current() -> TorchState | None:
    """What torch is set to now; None where nobody has imported it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    autocast = tuple(
        (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in DEVICES
    )
    return TorchState(
        inference=torch.is_inference_mode_enabled(),
        grad=torch.is_grad_enabled(),
        autocast=autocast,
        casts=any(enabled for _, enabled, _ in autocast),
        caches_casts=torch.is_autocast_cache_enabled(),
        threads=torch.get_num_threads(),
    )
