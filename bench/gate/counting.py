"""Count trials by several processes, which import torch so that nothing else need."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import IO

import msgspec

from bench.cpus import usable_cpus
from bench.exact import Exact, Told, Versions
from bench.gate.baseline import Baseline
from bench.trial import Trial

PROCESS = (sys.executable, "-m", "bench.measure.exact")


def count_all(
    trials: Sequence[Trial], tell: Callable[[], None], process: Sequence[str] = PROCESS
) -> Baseline:
    """Count ``trials`` on all CPUs.

    Args:
        trials: of any architectures; they come back in their order.
        tell: is called when another one is counted.
        process: the command that counts.

    Raises:
        RuntimeError: if a process fails, with what it said last.
    """
    shares = [trials[start :: usable_cpus()] for start in range(min(usable_cpus(), len(trials)))]
    with ExitStack() as stack:
        counters = [stack.enter_context(_Counter(process)) for _ in shares]
        pool = stack.enter_context(ThreadPoolExecutor(len(shares)))
        try:
            told = list(
                pool.map(lambda counter, share: counter.count(share, tell), counters, shares)
            )
        except BaseException:
            for counter in counters:  # or the pool would wait for them
                counter.kill()
            raise
    versions = {versions for versions, _ in told}
    if len(versions) != 1:
        raise RuntimeError(f"processes counted with several versions: {versions}")
    found = {exact.counts.trial: exact for _, exacts in told for exact in exacts}
    return Baseline.of(versions.pop(), [found[trial] for trial in trials])


class _Counter:
    """A counting process; it ends when its context does."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
        self._errors.close()

    def kill(self) -> None:
        self._process.kill()

    def count(
        self, trials: Sequence[Trial], tell: Callable[[], None]
    ) -> tuple[Versions, list[Exact]]:
        """What the process says of the trials."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # One that reads nothing has failed, and says below why.
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(msgspec.json.encode(trials))
        exacts: list[Exact] = []
        versions: Versions | None = None
        for line in self._process.stdout:
            try:
                told = msgspec.json.decode(line, type=Told)
            except msgspec.MsgspecError as error:  # as half a line of one that was killed
                raise RuntimeError(f"a counting process said {line!r}: {error}") from error
            if isinstance(told, Versions):
                versions = told
            else:
                exacts.append(told)
                tell()
        if self._process.wait() or versions is None or len(exacts) < len(trials):
            missing = trials[len(exacts) : len(exacts) + 1]
            what = f"counting {missing[0].key}" if missing else "a process that had counted all"
            raise RuntimeError(f"{what} failed: {self._last_error()}")
        return versions, exacts

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {self._process.returncode}"
