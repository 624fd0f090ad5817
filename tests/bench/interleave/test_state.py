"""A benchmark is never timed when what it is made of is gone, nor under other settings."""

from __future__ import annotations

import pytest

from tests.bench.interleave.conftest import RunSession

FIXTURES = """
    import pytest
    torn_down = []
    class Server:
        is_open = True
        calls = 0
        def ask(self):
            assert self.is_open, "timed on dead state"
            self.calls += 1
            sum(range(2_000))
    @pytest.fixture(scope="{scope}", params=[1, 2])
    def server(request):
        server = Server()
        yield server
        server.is_open = False
        torn_down.append(server.calls)
    class TestIt:
        def test_one(self, benchmark, server): benchmark(server.ask)
    def test_two(benchmark, server): benchmark(server.ask)
    import atexit
    atexit.register(lambda: print("TORN", len(torn_down)))
"""


@pytest.mark.parametrize("scope", ["function", "class", "module", "session"])
def test_fixtures_live_while_they_are_used(run: RunSession, scope: str) -> None:
    """What a fixture has torn down is set up anew in every round, and torn down again."""
    session = run(FIXTURES.format(scope=scope), "-s")
    session.outcomes(passed=4)
    assert all(len(samples) >= 5 for samples in session.samples.values())
    assert "its fixture 'server' is torn down" in session.text
    assert int(session.text.split("TORN ")[1].split()[0]) > 4


def test_session_fixture_outlives_the_tests(run: RunSession) -> None:
    """One that lives to the session's end is set up once, and torn down after the rounds."""
    source = FIXTURES.format(scope="session").replace(", params=[1, 2]", "")
    session = run(source, "-s")
    session.outcomes(passed=2)
    assert "TORN 1" in session.text
    assert "run again" not in session.text


def test_error_in_session_teardown_is_reported(run: RunSession) -> None:
    """The session's fixtures are torn down after the rounds, and may fail."""
    session = run("""
        import pytest
        @pytest.fixture(scope="session")
        def bad():
            yield
            raise OSError("cannot close")
        def test_it(benchmark, bad): benchmark(len, "x")
    """)
    session.outcomes(passed=1, errors=1)
    assert "cannot close" in session.text
    assert list(session.samples) == ["test_it"]


def test_what_fixtures_return_is_enough(run: RunSession) -> None:
    """A fixture with nothing to undo leaves behind what it returned: no test runs again."""
    session = run(
        """
        import pytest
        ups = []
        @pytest.fixture(params=[1, 2])
        def data(request):
            ups.append(1)
            assert len(ups) <= 2
            return list(range(request.param))
        @pytest.mark.parametrize("other", [3, 4])
        def test_it(benchmark, data, other): benchmark(sum, data)
    """.replace("<= 2", "<= 4")
    )
    session.outcomes(passed=4)
    assert "run again" not in session.text


def test_finalizer_counts_as_teardown(run: RunSession) -> None:
    session = run("""
        import pytest
        @pytest.fixture
        def data(request):
            data = [1]
            request.addfinalizer(data.clear)
            return data
        def test_it(benchmark, data): assert benchmark(lambda: data[0]) == 1
    """)
    session.outcomes(passed=1)
    assert "run again in every round: test_it: its fixture 'data' is torn down" in session.text


ADDS = """
    import pytest
    @pytest.fixture
    def make(request):
        def make():
            made = [1]
            request.addfinalizer(made.clear)
            return made
        return make
    @pytest.fixture
    def whole(request):
        data = [1]
        request.node.addfinalizer(data.clear)
        return data
"""


@pytest.mark.parametrize(
    ("fixture", "data", "reason"),
    [
        ("make", "make()", "its fixture 'make' is torn down"),
        ("whole", "whole", "it has added a finalizer"),
        ("request", "[1]; request.addfinalizer(data.clear)", "it has added a finalizer"),
    ],
)
def test_finalizers_of_the_test_count(
    run: RunSession, fixture: str, data: str, reason: str
) -> None:
    """What is undone when the test is over, whoever asked for it, is there in every round."""
    session = run(f"""{ADDS}
    def test_it(benchmark, {fixture}):
        data = {data}
        assert benchmark.pedantic(lambda: data[0], rounds=6) == 1
    """)
    session.outcomes(passed=1)
    assert len(session.samples["test_it"]) >= 5
    assert f"run again in every round: test_it: {reason}" in session.text


def test_order_of_teardown_is_no_teardown(run: RunSession) -> None:
    """Pytest's own finalizers on fixtures that others use, and on the test, undo nothing."""
    session = run("""
        import pytest
        @pytest.fixture(scope="module")
        def base(): return [1]
        @pytest.fixture(params=[1, 2])
        def data(base, request): return base * request.param
        @pytest.fixture
        def more(data, request): return data + request.getfixturevalue("late")
        @pytest.fixture
        def late(base): return base
        @pytest.mark.parametrize("n", [1, 2])
        def test_it(benchmark, more, n, request):
            benchmark(sum, more + request.getfixturevalue("later"))
        @pytest.fixture
        def later(late): return late
    """)
    session.outcomes(passed=4)
    assert "run again" not in session.text


HELD = """
    import contextlib
    state = []
    @contextlib.contextmanager
    def held():
        state.append(1)
        yield
        state.clear()
    def ask():
        assert state, "timed on dead state"
    def test_it(benchmark):
"""


@pytest.mark.parametrize(
    "body",
    [
        "with held(): benchmark(ask)",
        "with held(): assert benchmark(ask) is None",
        "state.append(1)\n        benchmark(ask)\n        state.clear()",
        "state.append(1)\n        try: benchmark(ask)\n        finally: state.clear()",
        "match state.append(1):\n            case None:\n"
        "                benchmark.pedantic(ask, rounds=6)\n                state.clear()",
        "with held(): benchmark.pedantic(ask, rounds=6)",
    ],
)
def test_what_the_test_holds_is_held(run: RunSession, body: str) -> None:
    """What a test opens around its benchmark, or undoes after it, is there in every round."""
    session = run(HELD + f"        {body}\n")
    session.outcomes(passed=1)
    assert len(session.samples["test_it"]) >= 5
    assert "run again in every round: test_it: " in session.text


def test_a_test_that_fails_when_it_runs_again(run: RunSession) -> None:
    """What fails in set-up, call or teardown of a later round has failed, and has no row."""
    session = run("""
        import pytest
        ups = iter(range(2))
        @pytest.fixture
        def up():
            yield next(ups)
        def test_up(benchmark, up): benchmark(len, "x")
        downs = iter(range(2))
        @pytest.fixture
        def down():
            yield
            next(downs)
        def test_down(benchmark, down): benchmark(len, "x")
        calls = iter(range(5))
        def test_call(benchmark, tmp_path):
            assert next(calls) < 2
            benchmark(len, "x")
        def test_good(benchmark): benchmark(len, "x")
    """, "--benchmark-max-time=0.2")  # fmt: skip
    session.outcomes(passed=2, failed=1, errors=2)
    assert list(session.samples) == ["test_good"]


def test_statistics_can_be_read(run: RunSession) -> None:
    """In a test they are of its first run's one sample, also where it runs again."""
    session = run("""
        def test_once(benchmark):
            benchmark(sum, range(1_000))
            mean = benchmark.stats["mean"]
            assert 0 < mean < 1
        def test_again(benchmark, tmp_path):
            benchmark(sum, range(1_000))
            mean = benchmark.stats.stats.mean
            assert 0 < mean < 1
            assert benchmark.stats["rounds"] == 1
        def test_pedantic(benchmark, tmp_path):
            benchmark.pedantic(sum, (range(1_000),), rounds=5, iterations=2)
            assert 0 < benchmark.stats["mean"] < 1
            assert benchmark.stats["rounds"] == 1
    """)
    session.outcomes(passed=3)
    assert "every round: test_once" not in session.text
    assert all(len(samples) >= 5 for samples in session.samples.values())


def test_a_test_that_runs_again_has_its_pedantic_rounds(run: RunSession) -> None:
    session = run("""
        done = []
        def test_it(benchmark, tmp_path):
            benchmark.pedantic(lambda: done.append(1), rounds=4, iterations=1)
        import atexit
        atexit.register(lambda: print("DONE", len(done)))
    """, "-s")  # fmt: skip
    assert len(session.samples["test_it"]) == 4
    assert "DONE 5" in session.text


def test_torch_settings_of_the_test_hold(run: RunSession) -> None:
    """Gradients, autocast and threads are in every round what they were in the test."""
    pytest.importorskip("torch")
    session = run("""
        import pytest, torch
        seen = {}
        def look(name):
            seen.setdefault(name, set()).add((
                torch.is_inference_mode_enabled(), torch.is_grad_enabled(),
                torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"),
                torch.get_num_threads(),
            ))
        def test_inference(benchmark):
            torch.set_num_threads(1)
            with torch.inference_mode(): benchmark(look, "inference")
        @torch.no_grad()
        def test_no_grad(benchmark):
            torch.set_num_threads(2)
            benchmark(look, "no_grad")
        def test_autocast(benchmark):
            with torch.autocast("cpu", torch.float16): benchmark(look, "autocast")
        def test_plain(benchmark):
            torch.set_num_threads(1)
            benchmark(look, "plain")
            assert torch.get_num_threads() == 1
        import atexit
        atexit.register(lambda: print(*(f"{name}: {seen[name]}" for name in seen), sep="\\n"))
    """, "-s")  # fmt: skip
    session.outcomes(passed=4)
    assert "run again" not in session.text
    assert "inference: {(True, False, False, torch.bfloat16, 1)}" in session.text
    assert "no_grad: {(False, False, False, torch.bfloat16, 2)}" in session.text
    assert "autocast: {(False, True, True, torch.float16, 2)}" in session.text
    assert "plain: {(False, True, False, torch.bfloat16, 1)}" in session.text
