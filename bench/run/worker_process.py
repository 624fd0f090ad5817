"""A worker as its run sees it: start it, ask it, stop it, tell how it died."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar, cast

import msgspec

from bench.protocol import Answer, Command, Ready, Reply, decode_reply, encode
from bench.record import Status

T = TypeVar("T")

# The longest line a worker may send: a reference of a batch of thousands.
_LINE_LIMIT = 2**28
# Of a line that is no answer, in bytes.
_SHOWN = 80


class WorkerDied(Exception):  # noqa: N818 - it is what happened, not what went wrong here
    """A worker ended, or fell silent and was ended, before its answer was complete."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class WorkerProcess:
    """A running worker; use it as an async context manager.

    It is started by exec, never forked, and in a session of its own, so that
    Ctrl-C reaches the run alone. It ends by itself when the run dies, since
    its standard input then ends.
    """

    def __init__(
        self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None
    ) -> None:
        self._argv = tuple(argv)
        self._environment = environment  # None: this process's own
        self._timeout_s = timeout_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._oom_kills = _oom_kills()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env=self._environment,
                limit=_LINE_LIMIT,
            )
        except BaseException:  # cancelled, too, where another worker could not start
            self._errors.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running()
        # Its forks too: they hold its pipes, and would be waited for.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self._errors.close()

    @property
    def pid(self) -> int:
        return self._running().pid

    async def greet(self) -> AsyncIterator[Answer]:
        """What the worker says of itself once it is ready."""
        async for reply in self._replies():
            yield cast(Answer, reply)

    async def ask(self, command: Command) -> AsyncIterator[Answer]:
        """Send a command and yield what answers it.

        Raises:
            WorkerDied: if it ends, or says nothing for the timeout, before it is ready again.
        """
        await self._send(command)
        async for reply in self._replies():
            yield cast(Answer, reply)

    async def one(self, kind: type[T], command: Command | None = None) -> T:
        """The only answer to a command, which is of this kind; or to none, as a greeting.

        Raises:
            WorkerDied: as `ask` does, and if it answers anything else.
        """
        if command is not None:
            await self._send(command)
        replies = [reply async for reply in self._replies()]
        if len(replies) != 1 or not isinstance(replies[0], kind):
            raise WorkerDied("crashed", f"the answer must be one {kind.__name__}, got {replies!r}")
        return replies[0]

    async def _send(self, command: Command) -> None:
        stdin = self._running().stdin
        assert stdin is not None
        with contextlib.suppress(ConnectionError):  # reading will tell how it died
            stdin.write(encode(command))
            await stdin.drain()

    async def _replies(self) -> AsyncIterator[Reply]:
        stdout = self._running().stdout
        assert stdout is not None
        while True:
            try:
                # Not wait_for: it can swallow a cancellation that comes together with a line.
                async with asyncio.timeout(self._timeout_s):
                    line = await stdout.readline()
            except TimeoutError:
                raise WorkerDied(
                    "timeout", f"the worker said nothing for {self._timeout_s:g} s"
                ) from None
            if not line.endswith(b"\n"):
                raise await self._death()
            try:
                reply = decode_reply(line)
            except msgspec.MsgspecError as error:
                said = line[:_SHOWN].decode(errors="replace").rstrip()
                raise WorkerDied(
                    "crashed", f"the worker said {said!r}, which is no answer: {error}"
                ) from error
            if isinstance(reply, Ready):
                return
            yield reply

    async def _death(self) -> WorkerDied:
        code = await self._running().wait()
        if code < 0:
            reason = f"the worker was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL and _oom_kills() > self._oom_kills:
                return WorkerDied("oom", f"{reason}: the machine ran out of memory")
            return WorkerDied("crashed", reason)
        return WorkerDied("crashed", f"the worker ended with code {code}: {self._last_error()}")

    def _last_error(self) -> str:
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 4096))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed no error"

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the worker was not started")
        return self._process


def _oom_kills() -> int:
    """How many processes this system has killed for memory; 0 where it does not tell."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0
    )
