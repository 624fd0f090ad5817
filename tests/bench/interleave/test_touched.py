"""A version that lacks what the plugin needs is refused in a sentence."""

from __future__ import annotations

import tomllib

import pytest

import bench.interleave.plugin
from bench.interleave.touched import ATTRIBUTES, METHODS, missing
from tests.bench.interleave.conftest import ROOT, RunSession


def test_installed_versions_have_all() -> None:
    assert missing() is None


def test_a_missing_name_is_told() -> None:
    lacking = missing(methods=[(METHODS[0][0], ("_raw", "_gone"))])
    assert lacking is not None
    assert "pytest-benchmark 5" in lacking
    assert lacking.endswith("lacks BenchmarkFixture._gone")


def test_a_missing_attribute_is_told() -> None:
    lacking = missing(attributes=[(ATTRIBUTES[0][0], ("_gone",))])
    assert lacking is not None
    assert lacking.endswith("lacks BenchmarkFixture._gone")


def test_a_version_that_lacks_a_name_is_refused_at_start(
    run: RunSession, pytester: pytest.Pytester
) -> None:
    """Before any test runs, with pytest's exit code for wrong usage."""
    (pytester.path / "older.py").write_text(
        "from pytest_benchmark.fixture import BenchmarkFixture\n"
        "del BenchmarkFixture._calibrate_timer\n"
    )
    pytester.syspathinsert()
    session = run("def test_it(benchmark): benchmark(len, 'x')", plugins=("older",))
    assert session.result.ret == pytest.ExitCode.USAGE_ERROR
    assert "lacks BenchmarkFixture._calibrate_timer" in session.result.stderr.str()


def test_pytest_finds_the_plugin() -> None:
    """The entry point names the module, and has its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name = bench.interleave.plugin.__name__
    assert project["entry-points"]["pytest11"] == {name: name}
