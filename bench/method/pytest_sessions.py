"""Commands of this Python in a tree of the suite, and sessions of pytest-benchmark among them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.waiting import Waiting, environment

FORWARDS = "bench/measure/forwards_benchmark.py"
# For a command to stop what it has started.
_STOP_S = 30.0


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    output: str
    wall_s: float

    @property
    def last_line(self) -> str:
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class Forwards:
    """What a session times: trials, as JSON, by the names of their benchmarks, each for so long."""

    trials: dict[str, str]
    seconds: float
    waiting: Waiting


def session(tree: Path, folder: Path, forwards: Forwards, flags: Sequence[str]) -> Ended:
    """Time forwards by a session of pytest with pytest-benchmark.

    Args:
        tree: whose packages are measured.
        folder: of what the session saves, and of pytest's settings: none.
        forwards: to be timed.
        flags: of pytest besides.
    """
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n", encoding="ascii")
    command = (
        "-m", "pytest", "-q", FORWARDS, "-c", str(settings), "--rootdir", ".",
        "--import-mode=importlib", "-p", "no:cacheprovider", "--benchmark-only",
        f"--benchmark-storage={(folder / 'saved').as_uri()}",
        f"--benchmark-max-time={forwards.seconds}", *flags,
    )  # fmt: skip
    trials = msgspec.json.encode(forwards.trials).decode()
    return run(command, tree, environment(forwards.waiting) | {"SE_BENCH_TRIALS": trials})


def medians_s(folder: Path, name: str) -> dict[str, float]:
    """Of what sessions saved in a folder under a name, by benchmark; nothing if nothing was."""
    for path in folder.glob(f"saved/*/*_{name}.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            each["name"].partition("[")[2].removesuffix("]"): each["stats"]["median"]
            for each in found["benchmarks"]
        }
    return {}


def run(arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Ended:
    """Run this Python in a folder, whose packages come first; asked to stop if this is stopped."""
    started_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=without(variables, "PYTHONPATH"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)  # it ends processes of its own
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return Ended(process.returncode, output, time.monotonic() - started_s)


def without(variables: Mapping[str, str], name: str) -> dict[str, str]:
    """Environment variables but for one."""
    return {each: value for each, value in variables.items() if each != name}
