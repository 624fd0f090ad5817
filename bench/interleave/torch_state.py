"""What torch is set to while a benchmark is called: gradients, autocast, threads.

torch is looked at where a test has imported it, and never imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

DEVICES = ("cpu", "cuda")
# The context managers whose effect is held here; a test's other `with` blocks are not.
HELD_CONTEXTS = frozenset(
    {"inference_mode", "no_grad", "enable_grad", "set_grad_enabled", "autocast"}
)


@dataclass(frozen=True)
class TorchState:
    """torch's settings of one moment; ``autocast`` has a device, on or off, and a dtype each."""

    inference: bool
    grad: bool
    autocast: tuple[tuple[str, bool, Any], ...]
    caches_casts: bool
    threads: int

    @property
    def casts(self) -> bool:
        """Whether a first call pays for casting weights, which later ones find cast."""
        return any(enabled for _, enabled, _ in self.autocast)

    def entered(self) -> AbstractContextManager[None]:
        """The settings, for the length of a ``with`` block; cheap where they hold already."""
        return nullcontext() if current() == self else self._entered()

    @contextmanager
    def _entered(self) -> Iterator[None]:
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
    return TorchState(
        inference=torch.is_inference_mode_enabled(),
        grad=torch.is_grad_enabled(),
        autocast=tuple(
            (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
            for device in DEVICES
        ),
        caches_casts=torch.is_autocast_cache_enabled(),
        threads=torch.get_num_threads(),
    )
