"""An interleaved session: tests run once, then their benchmarks in rounds, then reports follow."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from _pytest.runner import CallInfo, runtestprotocol

from bench.interleave.comparisons import Comparisons
from bench.interleave.fixture import Call, FirstRun, LaterRun, Samples
from bench.interleave.job import Job
from bench.interleave.liveness import Liveness
from bench.interleave.plugin import BASELINE
from bench.interleave.reports import tell, with_failure
from bench.interleave.rounds import run_rounds
from bench.interleave.touched import benchmark_session, own_finalizers, teardown_to, why_off

NO_CALL = "the test did not call its benchmark again"
UNDOES = "it has added a finalizer"


class Last(pytest.Item):
    """Stands behind the last test, so that session fixtures outlive it; never run."""

    def runtest(self) -> None:
        raise AssertionError("stands behind the last test, and is no test")


class Interleaving:
    """The hooks of a session with `--benchmark-interleave`."""

    def __init__(self, session: pytest.Session, seed: int) -> None:
        self._session = session
        self._seed = seed
        self._benchmarks = benchmark_session(session.config)
        self._liveness = Liveness()
        self._queue: list[Job] = []
        self._last: Last = Last.from_parent(session, name="after the last test")
        # Of the test that runs now: what it called in its first run, or where samples go.
        self._called_job: Job | None = None
        self._compared: list[str] = []
        self._later: tuple[Job, int, Samples] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anything is measured: not where pytest-benchmark is off, nor by xdist's workers.

        The latter are off in newer versions of pytest-benchmark only.
        """
        is_worker = hasattr(self._session.config, "workerinput")
        return not (why_off(self._session.config) or is_worker)

    @pytest.fixture
    def benchmark(self, benchmark: Any, request: pytest.FixtureRequest) -> Any:
        """pytest-benchmark's fixture, measured in rounds."""
        if self._later:
            job, wanted, taken = self._later
            return LaterRun.of(benchmark, wanted, job.metadata, taken)
        return FirstRun.of(benchmark, partial(self._called, request))

    def _called(self, request: pytest.FixtureRequest, call: Call) -> None:
        lives = self._liveness.living(request.fixturenames)
        self._called_job = Job(
            item=request.node,
            metadata=call.metadata,
            wish=call.wish,
            sample=call.sample,
            gone=partial(self._liveness.first_gone, lives),
            held=call.held or (UNDOES if own_finalizers(request.node) else None),
            torch_state=call.torch_state,
            again=self._run_again,
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        result = yield
        self._liveness.set_up(fixturedef)
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._liveness.torn_down(fixturedef)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> object:
        following = nextitem or self._last
        if "benchmark" not in getattr(item, "fixturenames", ()):
            if nextitem is not None:
                return None
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            runtestprotocol(item, nextitem=following)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        self._called_job = None
        reports = runtestprotocol(item, nextitem=following, log=False)
        if self._called_job and all(report.passed for report in reports):
            self._called_job.reports = reports
            self._called_job.baseline = item.stash.get(BASELINE, None)
            self._queue.append(self._called_job)
        else:
            if self._called_job:
                self._called_job.hand_over()
            tell(item, reports)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            result = yield
        except (session.Failed, session.Interrupted):
            # Stopped by a failure (-x): what ran before it is measured, as it would have been.
            self._measure()
            raise
        except BaseException:
            self._report()
            raise
        self._measure()
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        return result

    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Record how the samples were taken, beside pytest-benchmark's own keys."""
        output_json["interleave"] = {"seed": self._seed}

    def _measure(self) -> None:
        if self._queue:
            self._tear_down(self._last)
            for job in self._queue:
                job.look_around()
            comparisons = Comparisons(self._queue)
            arms = [*self._queue, *comparisons.controls]
            self._announce(sum(arm.wish.max_time_s for arm in arms))
            try:
                with _untraced(), self._captured():
                    run_rounds(arms, self._seed, self._has_failed_enough)
            finally:
                self._compared = comparisons.conclude()
                self._report()
        self._tear_down(None)

    @pytest.hookimpl(trylast=True)  # below pytest-benchmark's tables
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._compared:
            terminalreporter.section("overhead against a baseline, paired within rounds", sep="-")
            for line in self._compared:
                terminalreporter.write_line(line)

    def _run_again(self, job: Job, samples: int) -> list[float] | None:
        taken = Samples()
        self._later = (job, samples, taken)
        try:
            reports = runtestprotocol(job.item, nextitem=self._last, log=False)
        finally:
            self._later = None
        failed = next((report for report in reports if not report.passed), None)
        if failed:
            job.fail(failed)
        elif len(taken) != samples:
            job.fail(pytest.ExceptionInfo.from_exception(RuntimeError(NO_CALL)))
        return None if job.failure else taken

    def _has_failed_enough(self) -> bool:
        most = self._session.config.getoption("maxfail") or 0
        failed = sum(job.failure is not None for job in self._queue)
        return 0 < most <= self._session.testsfailed + failed

    def _report(self) -> None:
        """Hand over what was measured, and tell what was held back."""
        queue, self._queue = self._queue, []
        for job in queue:
            job.hand_over()
            if job.failure:
                tell(job.item, with_failure(job.item, job.reports, job.failure))
            else:
                tell(job.item, job.reports)

    def _tear_down(self, following: pytest.Item | None) -> None:
        call = CallInfo.from_call(
            partial(teardown_to, self._session, following),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo:
            report = pytest.TestReport.from_item_and_call(self._last, call)
            self._last.ihook.pytest_runtest_logreport(report=report)

    def _announce(self, time_s: float) -> None:
        """Say what follows, and which tests are run again and why: nothing shows during rounds."""
        reporter = self._session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is None or self._benchmarks.quiet:
            return
        reporter.ensure_newline()
        reporter.write_line(
            f"benchmark-interleave: {len(self._queue)} benchmarks in rounds, about {time_s:.3g} s"
        )
        for job in self._queue:
            if job.runs_again:
                reporter.write_line(
                    f"  run again in every round: {job.item.name}: {job.runs_again}"
                )

    @contextmanager
    def _captured(self) -> Iterator[None]:
        """Keep what benchmarks print off the terminal, as within tests."""
        capture = self._session.config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            yield
            return
        capture.resume_global_capture()
        try:
            yield
        finally:
            capture.suspend_global_capture(in_=False)
            capture.read_global_capture()


@contextmanager
def _untraced() -> Iterator[None]:
    """Without what slows Python down to watch it: coverage, a debugger, a profiler."""
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
