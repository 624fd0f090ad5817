"""Sessions of pytest-benchmark in folders of their own, with and without the plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
QUICK = ("--benchmark-max-time=0.02", "--benchmark-json=out.json")


@dataclass(frozen=True)
class Session:
    """What a session printed, and what pytest-benchmark wrote of it."""

    result: pytest.RunResult
    file: Path

    @property
    def text(self) -> str:
        return self.result.stdout.str()

    @property
    def written(self) -> dict[str, Any]:
        written: dict[str, Any] = json.loads(self.file.read_text())
        return written

    @property
    def samples(self) -> dict[str, list[float]]:
        """The samples of each benchmark, by its name, in seconds."""
        return {each["name"]: each["stats"]["data"] for each in self.written["benchmarks"]}

    def outcomes(self, **counts: int) -> None:
        """Expect so many passed, failed and so on, and no others."""
        self.result.assert_outcomes(**counts)


RunSession = Callable[..., Session]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunSession:
    """Write a test file and run it interleaved in a process of its own, quickly."""
    # This source, not an installed one; and no plugins but those that are named.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [_path()])]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # Nor is it a worker of xdist's, whatever this one is.
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)

    def call(
        source: str, *flags: str, interleave: bool = True, plugins: tuple[str, ...] = ()
    ) -> Session:
        pytester.makepyfile(test_it=source)
        named = ("pytest_benchmark.plugin", "bench.interleave.plugin", *plugins)
        loaded = [part for name in named for part in ("-p", name)]
        option = ["--benchmark-interleave"] if interleave else []
        result = pytester.runpytest_subprocess(*loaded, *option, *QUICK, *flags)
        return Session(result, pytester.path / "out.json")

    return call


def _path() -> str:
    return os.environ.get("PYTHONPATH", "")
