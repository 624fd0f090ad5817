"""What of pytest-benchmark and pytest is used beyond what they promise to keep.

All of it is named here and looked for before anything is measured, so that a
version without one of the names is refused by a sentence, not by a traceback
in the middle of a session. Supported: pytest-benchmark 5.0 to 5.3 (the oldest
and the newest are tested) on pytest 8 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from typing import Any

import pytest
from _pytest import fixtures, runner
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.session import BenchmarkSession
from pytest_benchmark.stats import Metadata, Stats

TESTED = "pytest-benchmark 5.0 to 5.3 on pytest 8 and 9"

# The finalizers that pytest adds itself: to tear down who uses a fixture, and, on 8.0, for nose.
PYTESTS = ("_pytest.fixtures.FixtureDef.", "_pytest.nose.")

# Methods and functions, by who must have them.
METHODS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        BenchmarkFixture,
        ("_raw", "_raw_pedantic", "_make_runner", "_calibrate_timer", "_make_stats"),
    ),
    (Metadata, ("update",)),
    (runner, ("runtestprotocol",)),
    (runner.SetupState, ("teardown_exact",)),
    (fixtures.FixtureDef, ("finish",)),
)
# Attributes, by whose __init__ must set or use them.
ATTRIBUTES: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (BenchmarkFixture, ("_min_rounds", "_max_time", "cprofile", "extra_info", "has_error")),
    (BenchmarkSession, ("benchmarks", "disabled", "skip")),
    (Metadata, ("stats", "iterations", "fullname")),
    (Stats, ("data",)),
    (fixtures.FixtureDef, ("_finalizers",)),
    (runner.SetupState, ("stack",)),
)


def missing(
    methods: Iterable[tuple[Any, tuple[str, ...]]] = METHODS,
    attributes: Iterable[tuple[type[Any], tuple[str, ...]]] = ATTRIBUTES,
) -> str | None:
    """What the installed versions lack, in a sentence; None if nothing."""
    lacking = [
        f"{owner.__name__}.{name}" for owner, names in methods for name in names
        if not hasattr(owner, name)
    ] + [
        f"{owner.__name__}.{name}" for owner, names in attributes for name in names
        if name not in owner.__init__.__code__.co_names
    ]  # fmt: skip
    if not lacking:
        return None
    return (
        f"--benchmark-interleave works with {TESTED}; pytest-benchmark "
        f"{version('pytest-benchmark')} on pytest {pytest.__version__} lacks {', '.join(lacking)}"
    )


def benchmark_session(config: pytest.Config) -> Any:
    """pytest-benchmark's session: who waits for statistics, and what was asked for."""
    return config._benchmarksession  # type: ignore[attr-defined]


def why_off(config: pytest.Config) -> str | None:
    """Who has switched pytest-benchmark off, by option or plugin; None if it is on."""
    benchmarks = benchmark_session(config)
    if benchmarks.skip:
        return "--benchmark-skip"
    if not benchmarks.disabled:
        return None
    return "--benchmark-disable" if config.getoption("dist", "no") == "no" else "xdist"


def teardown_to(session: pytest.Session, following: pytest.Item | None) -> None:
    """Tear down every fixture that ``following`` does not share; all of them for None."""
    session._setupstate.teardown_exact(following)


def finalizers(fixture: fixtures.FixtureDef[Any]) -> int:
    """How many things a fixture, or who uses it, has yet to undo."""
    return _undoing(fixture._finalizers)


def own_finalizers(item: pytest.Item) -> int:
    """How many things a test has yet to undo that none of its fixtures undoes."""
    (_, *added), _ = item.session._setupstate.stack[item]  # the first is the teardown of its class
    return _undoing(added)


def _undoing(added: Iterable[Callable[[], object]]) -> int:
    """How many of them are not pytest's own, for the order in which fixtures are torn down."""
    return sum(not _name(each).startswith(PYTESTS) for each in added)


def _name(finalizer: Callable[[], object]) -> str:
    called = finalizer.func if isinstance(finalizer, partial) else finalizer
    return f"{getattr(called, '__module__', '')}.{getattr(called, '__qualname__', '')}"


__all__ = [
    "BenchmarkFixture",
    "Metadata",
    "benchmark_session",
    "finalizers",
    "missing",
    "own_finalizers",
    "why_off",
]
