"""What pytest reports of a test: held back until it is measured, and told then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from _pytest.runner import CallInfo


def tell(item: pytest.Item, reports: Sequence[pytest.TestReport]) -> None:
    """Report a test as pytest would have when it ran."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def with_failure(
    item: pytest.Item,
    reports: Sequence[pytest.TestReport],
    failure: pytest.ExceptionInfo[BaseException] | pytest.TestReport,
) -> list[pytest.TestReport]:
    """The reports of a test that passed at first, with a later failure where its call was."""
    failed = failure if isinstance(failure, pytest.TestReport) else failed_call(item, failure)
    if failed.when != "call":
        return [*reports, failed] if failed.when == "teardown" else [failed, reports[-1]]
    return [failed if report.when == "call" else report for report in reports]


def failed_call(
    item: pytest.Item, failure: pytest.ExceptionInfo[BaseException]
) -> pytest.TestReport:
    """A report that plugins have had their say on: xfail is theirs."""
    # pytest has taken these away after the test, and other plugins look into them.
    item.funcargs = {}  # type: ignore[attr-defined]
    call: CallInfo[None] = CallInfo(None, failure, 0.0, 0.0, 0.0, "call", _ispytest=True)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report
