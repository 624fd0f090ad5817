"""A process of the timing gate holds what it is told to, and runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

import bench
from bench.measure import candidate_process
from bench.measure.candidate import WARM_UP, Candidate, factory_made
from bench.measure.serving import serve
from bench.protocol import (
    CountTrials,
    Held,
    Hold,
    Ready,
    RunHeld,
    Sample,
    Tree,
    decode_reply,
    encode,
)
from bench.trial import Path as RunPath
from bench.trial import Trial, Variant, Workload
from se_models.config import SEConfig

FACTORIES = """\
import torch
from torch import nn

CALLS = []


def model():
    return nn.Linear(3, 2).eval(), torch.ones(1, 3)


def forward():
    return lambda: CALLS.append(torch.is_inference_mode_enabled())


def slipping():
    return nn.nonesuch


def bare():
    return nn.Linear(3, 2)


def failing():
    raise KeyError("weights")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_factories", raising=False)
    return "some_factories"


@pytest.fixture
def candidate() -> Candidate:
    return Candidate(torch.get_num_threads())


def answer(candidate: Candidate, command: Hold | RunHeld) -> Held | Sample:
    (found,) = candidate.answer(command)
    return found


@pytest.mark.parametrize("transform", ["none", "folded"])
def test_a_trial_is_built_and_run(transform: str, candidate: Candidate) -> None:
    """By its path, in the state of a measurement."""
    trial = Trial(
        Variant("resnet18", SEConfig("standard")),
        Workload(size=32),
        RunPath(transform),  # type: ignore[arg-type]
    )
    assert answer(candidate, Hold(msgspec.json.encode(trial).decode())) == Held(0)
    sample = answer(candidate, RunHeld(0))
    assert isinstance(sample, Sample)
    assert 0 < sample.wall_s < 60
    assert sample.cpu_s > 0


def test_a_trial_that_this_source_does_not_know_is_told(candidate: Candidate) -> None:
    """As one of a newer source; what is held already stays."""
    trial = msgspec.json.encode(Trial(Variant("resnet18"), Workload(size=32)))
    unknown = trial.replace(b'"none"', b'"beyond"', 1).decode()
    found = answer(candidate, Hold(unknown))
    assert isinstance(found, Held)
    assert found.place is None
    assert found.lacking
    assert "beyond" in (found.reason or "")


def test_factories_are_warmed_and_run(module: str, candidate: Candidate) -> None:
    """A model with its inputs, or a forward; in inference mode."""
    assert answer(candidate, Hold(f"{module}:model")) == Held(0)
    assert answer(candidate, Hold(f"{module}:forward")) == Held(1)
    answer(candidate, RunHeld(1))
    assert sys.modules[module].CALLS == [True] * (WARM_UP + 1)


def test_a_factory_that_fails_is_told(module: str, candidate: Candidate) -> None:
    """With what it raised, or what it should have returned."""
    found = answer(candidate, Hold(f"{module}:failing"))
    assert found == Held(None, "KeyError: 'weights'")
    with pytest.raises(TypeError, match=r"must return a callable without arguments.*got Linear"):
        factory_made(f"{module}:bare")


def test_what_is_not_there_is_told_from_what_fails(
    module: str, candidate: Candidate, tmp_path: Path
) -> None:
    """A module or a factory that is missing, but not what a module or a factory misses."""
    (tmp_path / "needing.py").write_text("import nonesuch\n")
    lacking = [f"{module}:nonesuch", "nonesuch:model", f"{module}.beyond:model"]
    failing = [f"{module}:failing", f"{module}:slipping", "needing:model"]
    for name in lacking + failing:
        found = answer(candidate, Hold(name))
        assert isinstance(found, Held)
        assert found.place is None
        assert found.lacking == (name in lacking), name


def test_it_says_where_its_package_lies_and_serves_to_the_end(
    module: str, candidate: Candidate
) -> None:
    """Ready after every answer; other workers' commands are an error."""
    commands = io.BytesIO(encode(Hold(f"{module}:forward")) + encode(RunHeld(0)))
    replies = io.BytesIO()
    serve(Tree("somewhere"), candidate.answer, commands, replies)
    kinds = [type(decode_reply(line)) for line in replies.getvalue().splitlines()]
    assert kinds == [Tree, Ready, Held, Ready, Sample, Ready]
    with pytest.raises(ValueError, match="cannot CountTrials"):
        list(candidate.answer(CountTrials(())))


def test_what_a_tree_prints_reaches_no_pipe(tmp_path: Path) -> None:
    """Not even while it is imported, by Python or by what Python does not know of."""
    (tmp_path / "chatty.py").write_text("import os\nprint('hello')\nos.system('echo hello')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", candidate_process.__name__, "--package", "chatty",
         "--threads", "1"],
        input=b"", capture_output=True, check=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(bench.__path__[0]).parent}"},
    )  # fmt: skip
    replies = [decode_reply(line) for line in done.stdout.splitlines()]
    assert replies == [Tree(str(tmp_path / "chatty.py")), Ready()]
    assert done.stderr.count(b"hello") == 2


def test_the_pipe_is_taken_before_this_suite_is_imported() -> None:
    """Since its modules import the tree's `se_models.config`."""
    script = (
        "import sys, bench.measure.candidate_process;"
        "sys.exit(any(name.startswith('se_models') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
