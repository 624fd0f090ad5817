"""Tests that need a CUDA device are skipped where there is none."""

from __future__ import annotations

import pytest

from bench.environment import has_cuda

# Runs pytest within tests, for those of the plugin. Only this conftest may load one.
pytest_plugins = ("pytester",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if has_cuda():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
