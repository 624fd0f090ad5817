"""Whether a test holds something around its benchmark that is gone when the test is over.

A benchmark that is called inside ``with server():`` cannot be called again
after the test. Nor can one before ``server.close()``. So a call inside a
``with`` or ``try``-``finally``, or before statements that might undo something,
is never taken to stand on its own: better a test run again in vain than a
time taken on dead state.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from types import CodeType, FrameType

from bench.interleave.torch_state import HELD_CONTEXTS

# Their frames stand between a test and here, and hold nothing of the test's, or torch's own state.
PASSED = ("pytest_benchmark.", "bench.interleave.", "torch.", "contextlib")


def held_around_call() -> str | None:
    """What some function between pytest and the caller holds, in words; None if nothing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("_pytest."):
            return None
        code = frame.f_code
        if not module.startswith(PASSED) and not code.co_name.startswith("<"):
            reason = _held_in(code, frame.f_lineno)
            if reason:
                return reason
        frame = frame.f_back
    return None


def _held_in(code: CodeType, line: int) -> str | None:
    try:
        source = textwrap.dedent(inspect.getsource(code))
        function = ast.parse(source).body[0]
    except (OSError, SyntaxError):
        return f"the source of {code.co_name} cannot be read"
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return held_in(function.body, line - code.co_firstlineno + 1)


def held_in(body: list[ast.stmt], line: int) -> str | None:
    """What the statements hold around, or may undo after, what is called at ``line``."""
    for place, statement in enumerate(body):
        if not statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            continue
        reason = _held_by(statement)
        for block in ("body", "orelse", "finalbody"):
            reason = reason or held_in(_statements(statement, block), line)
        for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            reason = reason or held_in(branch.body, line)
        later = [after for after in body[place + 1 :] if not _is_harmless(after)]
        if reason is None and later:
            reason = f"'{ast.unparse(later[0]).splitlines()[0]}' follows the call"
        return reason
    return None


def _statements(statement: ast.stmt, block: str) -> list[ast.stmt]:
    return [each for each in getattr(statement, block, []) if isinstance(each, ast.stmt)]


def _held_by(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.With | ast.AsyncWith):
        for item in statement.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and _last_name(call.func) in HELD_CONTEXTS):
                return f"the call is inside 'with {ast.unparse(call)}'"
    if isinstance(statement, ast.Try | ast.TryStar) and statement.finalbody:
        return "the call is inside 'try', with a 'finally'"
    return None


def _is_harmless(statement: ast.stmt) -> bool:
    """Whether a statement after the call can undo nothing: it asserts, or notes something."""
    match statement:
        case ast.Assert() | ast.Pass() | ast.Return():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=function)):
            return _last_name(function).startswith("assert") or _is_benchmarks(function)
        case ast.Assign(targets=[ast.Name()], value=value) if _is_benchmarks(value):
            return True  # reads it, as ``mean = benchmark.stats["mean"]`` does
        case ast.Assign(targets=targets):
            return all(_is_benchmarks(target) for target in targets)
        case _:
            return False


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_benchmarks(expression: ast.expr) -> bool:
    """Whether it is reached through the fixture, as ``benchmark.extra_info["n"]`` is."""
    while isinstance(expression, ast.Attribute | ast.Subscript):
        expression = expression.value
    return isinstance(expression, ast.Name) and expression.id == "benchmark"
