"""The plugin as pytest loads it: options, and nothing else until `--benchmark-interleave` is used.

It is loaded in every pytest run of an environment that has this package, so it
imports pytest alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

SEEDS = 2**32
BASELINE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benchmark")
    group.addoption(
        "--benchmark-interleave",
        action="store_true",
        default=False,
        help="Measure all benchmarks of the session in rounds, each in a random order, "
        "instead of one after the other.",
    )
    group.addoption(
        "--benchmark-interleave-seed",
        metavar="SEED",
        type=int,
        default=None,
        help="Seed of the orders within rounds. Default: a random one, which the header shows.",
    )


@pytest.hookimpl(trylast=True)  # pytest-benchmark's session is made by then
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if not config.getoption("benchmark_interleave"):
        return
    if not config.pluginmanager.hasplugin("pytest-benchmark"):
        raise pytest.UsageError("--benchmark-interleave needs the plugin pytest-benchmark")
    from bench.interleave.touched import missing

    lacking = missing()
    if lacking:
        raise pytest.UsageError(lacking)
    from bench.interleave.session import Interleaving

    interleaving = Interleaving(session, _seed(config))
    if interleaving.is_wanted:
        config.pluginmanager.register(interleaving, "benchmark-interleave")


@pytest.fixture
def benchmark_baseline(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Name the benchmark that this one is compared with: its test's name, or its whole node id.

    Both are then compared within rounds. Without ``--benchmark-interleave`` they are not.
    """

    def name_baseline(name: str) -> None:
        request.node.stash[BASELINE] = name

    return name_baseline


def pytest_report_header(config: pytest.Config) -> str | None:
    plugins = config.pluginmanager
    if not (config.getoption("benchmark_interleave") and plugins.hasplugin("pytest-benchmark")):
        return None
    from bench.interleave.touched import missing, why_off

    if missing():
        return None  # it is refused when the session starts
    off = why_off(config)
    if off:
        return f"benchmark-interleave: off, as {off} switches pytest-benchmark off"
    return f"benchmark-interleave: rounds in random order, seed {_seed(config)}"


_SEED = pytest.StashKey[int]()


def _seed(config: pytest.Config) -> int:
    """The seed that was asked for, or one drawn once for the whole session."""
    asked: int | None = config.getoption("benchmark_interleave_seed")
    return config.stash.setdefault(_SEED, secrets.randbelow(SEEDS) if asked is None else asked)
