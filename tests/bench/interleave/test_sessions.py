"""Sessions of every kind: what is measured, what is reported, and what is left as it was."""

from __future__ import annotations

import inspect
import re

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.bench.interleave.conftest import RunSession

TWO = """
    calls = []
    def test_one(benchmark): benchmark(calls.append, 1)
    def test_two(benchmark): benchmark(calls.append, 2)
    def test_plain(): assert calls
"""
WATCHED = """
    import pytest
    calls = []
    def work(name):
        if not calls or calls[-1] != name: calls.append(name)
        sum(range(20_000))
    @pytest.mark.parametrize("name", ["a", "b", "c"])
    def test_it(benchmark, name): benchmark(work, name)
    @pytest.fixture(scope="session", autouse=True)
    def told():
        yield
        print("ORDER", *calls)
"""


def test_benchmarks_take_turns(run: RunSession) -> None:
    """Where pytest-benchmark goes from one to the next, all come round again and again."""
    alone = _order(run(WATCHED, "-s", interleave=False).text)
    together = _order(run(WATCHED, "-s").text)
    assert alone == ["a", "b", "c"]
    # Each once in its test and in five rounds at least, of which two may meet.
    assert all(together.count(name) > 3 for name in "abc")


def test_seed_gives_the_orders(run: RunSession) -> None:
    """The header shows the seed, and the same seed gives the same orders."""
    fixed = WATCHED.replace("benchmark(work, name)", "benchmark.pedantic(work, (name,), rounds=16)")
    first = run(fixed, "-s")
    seed = _seed(first.text)
    again = run(fixed, "-s", f"--benchmark-interleave-seed={seed}")
    other = run(fixed, "-s", f"--benchmark-interleave-seed={seed + 1}")
    assert _order(first.text) == _order(again.text) != _order(other.text)
    assert other.written["interleave"] == {"seed": seed + 1}


def test_samples_go_to_pytest_benchmark(run: RunSession) -> None:
    """Table, JSON and statistics are pytest-benchmark's own, of the samples of the rounds."""
    session = run(TWO)
    session.outcomes(passed=3)
    session.result.stdout.re_match_lines([r".*benchmark: 2 tests.*", r"test_\w+ .*"])
    for entry in session.written["benchmarks"]:
        stats = entry["stats"]
        assert stats["rounds"] == len(stats["data"]) >= 5
        assert stats["min"] == min(stats["data"])
        assert entry["options"]["min_rounds"] == 5


def test_without_the_option_nothing_changes(run: RunSession) -> None:
    """The plugin is loaded everywhere: what does not ask for it must not notice."""
    session = run(TWO, "-v", interleave=False)
    session.outcomes(passed=3)
    assert "interleave" not in session.text.replace("bench.interleave", "")
    assert "interleave" not in session.written


@pytest.mark.parametrize("interleave", [False, True])
def test_no_torch_is_imported(run: RunSession, interleave: bool) -> None:
    """Torch is looked at where tests import it, and imported for none."""
    source = """
        import sys
        def test_it(benchmark): benchmark(len, "x")
        def pytest_unconfigure(): pass
        import atexit
        atexit.register(lambda: print("TORCH", "torch" in sys.modules, file=sys.__stdout__))
    """
    assert "TORCH False" in run(source, "-s", interleave=interleave).text


def test_pedantic_keeps_its_rounds(run: RunSession) -> None:
    """What is pedantic about its rounds, set-up and teardown gets exactly these."""
    if "teardown" not in inspect.signature(BenchmarkFixture.pedantic).parameters:
        pytest.skip("this pytest-benchmark has no teardown")
    session = run(
        """
        done = []
        def test_pedantic(benchmark):
            benchmark.pedantic(
                lambda n: done.append("call"), setup=lambda: done.append("up") or ((1,), {}),
                teardown=lambda n: done.append("down"), rounds=7, warmup_rounds=2,
            )
        def test_many(benchmark):
            benchmark.pedantic(sum, ([1],), iterations=10, rounds=3)
        def test_other(benchmark): benchmark(len, "x")
        import atexit
        atexit.register(lambda: print("DONE", *done[:6], len(done)))
    """,
        "-s",
    )
    session.outcomes(passed=3)
    assert len(session.samples["test_pedantic"]) == 7
    assert len(session.samples["test_many"]) == 3
    # Two to warm up, the first run, and seven: each with its own set-up and teardown.
    assert "DONE up call down up call down 30" in session.text


def test_failure_at_first_is_reported_and_not_measured(run: RunSession) -> None:
    """A benchmark that raises, or whose test fails after it, is a failed test and no row."""
    session = run("""
        def test_raises(benchmark): benchmark(lambda: 1 / 0)
        def test_wrong(benchmark): assert benchmark(len, "x") == 2
        def test_good(benchmark): benchmark(len, "x")
    """)
    session.outcomes(passed=1, failed=2)
    assert list(session.samples) == ["test_good"]


FAILS_LATER = """
    import pytest
    left = iter(range(6))
    def test_before(benchmark): benchmark(sum, range(1000))
    {mark}
    def test_later(benchmark): benchmark(lambda: (next(left), sum(range(5_000))))
    def test_after(benchmark): benchmark(sum, range(1000))
"""


def test_failure_in_a_later_round_fails_the_test(run: RunSession) -> None:
    """The others go on; the failed one has a traceback, and no row."""
    session = run(FAILS_LATER.format(mark=""))
    session.outcomes(passed=2, failed=1)
    assert "StopIteration" in session.text
    assert sorted(session.samples) == ["test_after", "test_before"]
    assert min(len(samples) for samples in session.samples.values()) >= 5


def test_expected_failure_in_a_later_round_is_expected(run: RunSession) -> None:
    """Xfail holds for what happens in rounds."""
    session = run(FAILS_LATER.format(mark="@pytest.mark.xfail(raises=StopIteration)"))
    session.outcomes(passed=2, xfailed=1)


def test_exit_first_stops_measuring(run: RunSession) -> None:
    """With -x a failure in a round ends it, and complete rounds are kept."""
    session = run(FAILS_LATER.format(mark=""), "-x")
    session.outcomes(passed=2, failed=1)
    assert session.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "stopping after 1 failures" in session.text
    assert sorted(session.samples) == ["test_after", "test_before"]
    assert max(len(samples) for samples in session.samples.values()) < 100


def test_exit_first_measures_what_ran_before(run: RunSession) -> None:
    """With -x a test that fails ends the session; what passed before it is measured."""
    session = run(
        """
        import pytest
        @pytest.fixture(scope="module")
        def module():
            yield
            print("TORN DOWN")
        def test_before(benchmark, module): benchmark(len, "x")
        def test_fails(benchmark, module): benchmark(lambda: 1 / 0)
        def test_never(benchmark): benchmark(len, "x")
    """,
        "-x",
        "-s",
    )
    session.outcomes(passed=1, failed=1)
    assert "TORN DOWN" in session.text
    assert list(session.samples) == ["test_before"]


def test_skip_and_xfail(run: RunSession) -> None:
    """Skipped and expected to fail: reported as ever, and not measured."""
    session = run("""
        import pytest
        @pytest.mark.skip
        def test_marked(benchmark): benchmark(len, "x")
        def test_called(benchmark): pytest.skip("no")
        @pytest.mark.xfail
        def test_xfail(benchmark): benchmark(lambda: 1 / 0)
        @pytest.mark.xfail
        def test_xpass(benchmark): benchmark(len, "x")
        def test_good(benchmark): benchmark(len, "x")
    """)
    session.outcomes(passed=1, skipped=2, xfailed=1, xpassed=1)
    assert sorted(session.samples) == ["test_good", "test_xpass"]


def test_selection(run: RunSession) -> None:
    """With -k only what is selected is run and measured."""
    session = run(TWO, "-k", "one or plain")
    session.outcomes(passed=2, deselected=1)
    assert list(session.samples) == ["test_one"]


def test_benchmark_only_skips_the_others(run: RunSession) -> None:
    session = run(TWO, "--benchmark-only")
    session.outcomes(passed=2, skipped=1)
    assert sorted(session.samples) == ["test_one", "test_two"]


@pytest.mark.parametrize(
    ("flag", "counts"),
    [("--benchmark-disable", {"passed": 3}), ("--benchmark-skip", {"passed": 1, "skipped": 2})],
)
def test_switched_off(run: RunSession, flag: str, counts: dict[str, int]) -> None:
    """Where pytest-benchmark is off, so are the rounds."""
    session = run(TWO.replace("assert calls", "pass"), flag)
    session.outcomes(**counts)
    assert "in rounds, about" not in session.text
    assert f"benchmark-interleave: off, as {flag} switches" in session.text
    # Older versions of pytest-benchmark make the file before they know.
    assert not session.file.exists() or not session.file.read_text()


def test_autosave_and_compare(run: RunSession) -> None:
    """Storage and comparison are pytest-benchmark's own."""
    run(TWO, "--benchmark-autosave")
    session = run(TWO, "--benchmark-compare")
    session.outcomes(passed=3)
    session.result.stdout.fnmatch_lines_random(["test_one (NOW) *", "test_one (0001_*"])


def test_cprofile(run: RunSession) -> None:
    """Each benchmark is profiled once, when its test runs."""
    session = run(TWO, "--benchmark-cprofile=tottime")
    session.outcomes(passed=3)
    assert "cProfile (time in s)" in session.text
    assert all(entry["cprofile"] for entry in session.written["benchmarks"])


def test_interrupt_keeps_complete_rounds(run: RunSession) -> None:
    """Ctrl-C while rounds are run: those that are complete are shown and written."""
    session = run("""
        calls = []
        def interrupted():
            calls.append(1)
            if len(calls) == 7: raise KeyboardInterrupt
            sum(range(20_000))
        def test_steady(benchmark): benchmark(sum, range(20_000))
        def test_interrupted(benchmark): benchmark(interrupted)
    """)
    assert session.result.ret == pytest.ExitCode.INTERRUPTED
    session.outcomes(passed=2)
    steady, interrupted = (session.samples[f"test_{name}"] for name in ("steady", "interrupted"))
    # Three calls in the test, three complete rounds, and one that was not.
    assert len(interrupted) == 3
    assert "benchmark: 2 tests" in session.text
    assert len(steady) >= 3


def test_interrupt_before_the_rounds(run: RunSession) -> None:
    """Ctrl-C while tests run: nothing is measured, and what passed is reported."""
    session = run("""
        def test_one(benchmark): benchmark(len, "x")
        def test_two(): raise KeyboardInterrupt
    """)
    assert session.result.ret == pytest.ExitCode.INTERRUPTED
    session.outcomes(passed=1)
    assert session.written["benchmarks"] == []


def test_xdist_passes_through(run: RunSession) -> None:
    """Under xdist pytest-benchmark is off, and runs everything once as without the plugin."""
    session = run(
        TWO.replace("assert calls", "pass"), "-n", "2", "-p", "no:cacheprovider",
        plugins=("xdist.plugin",),
    )  # fmt: skip
    session.outcomes(passed=3)
    assert "in rounds, about" not in session.text
    assert "benchmark-interleave: off, as xdist switches" in session.text


def test_verbose_reports_follow_the_rounds(run: RunSession) -> None:
    """A benchmark is reported once, when it is measured."""
    session = run(TWO, "-v")
    lines = [line for line in session.text.splitlines() if re.search(r"::|in rounds, about", line)]
    assert [re.sub(r".*(test_\w+ \w+|in rounds).*", r"\1", line) for line in lines] == [
        "test_plain PASSED", "in rounds", "test_one PASSED", "test_two PASSED",
    ]  # fmt: skip


def test_output_of_benchmarks_is_captured(run: RunSession) -> None:
    """What a benchmark prints in rounds is kept off the terminal, as in its test."""
    assert "LOUD" not in run('def test_it(benchmark): benchmark(print, "LOUD")').text


def test_needs_pytest_benchmark(run: RunSession) -> None:
    session = run("def test_it(): pass", "-p", "no:pytest_benchmark.plugin")
    assert session.result.ret == pytest.ExitCode.USAGE_ERROR


def _order(text: str) -> list[str]:
    found = re.search(r"ORDER (.*)", text)
    assert found
    return found[1].split()


def _seed(text: str) -> int:
    found = re.search(r"in random order, seed (\d+)", text)
    assert found
    return int(found[1])
