"""What all tests share: they can be interrupted, and need no device that is not there."""

from __future__ import annotations

import signal

import pytest

from bench.environment import has_cuda

# Runs pytest within tests, for those of the plugin. Only this conftest may load one.
pytest_plugins = ("pytester",)


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, which children would inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that need a CUDA device are skipped where there is none."""
    if has_cuda():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
