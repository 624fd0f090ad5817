"""Slowed models do more work for the same output, and arms can be run one by one."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.measure import pairs, sequences
from bench.measure.slowed import Slowed
from bench.record import Round, decode, select


class Calls(TorchDispatchMode):
    """Names every operator that is called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_slowed_model_does_more_and_says_the_same() -> None:
    """A convolution of data of its own, before the model; more rows of it are more work."""
    model = nn.Linear(4, 3)
    example = torch.randn(2, 4)
    with torch.no_grad():
        with Calls() as plain:
            expected = model(example)
        slower = Slowed(model, 17)
        with Calls() as slowed:
            output = slower(example)
    assert torch.equal(output, expected)
    assert slowed.names == ["aten.convolution.default", *plain.names]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for rows in (1, 10):
            Slowed(nn.Identity(), rows)(example)
    assert counter.get_total_flops() == (1 + 10) * 2 * 32 * 32 * 9 * 16


def test_no_rows_slow_nothing() -> None:
    """Such a model would be the trunk under another name."""
    with pytest.raises(ValueError, match="rows must be a positive integer, got 0"):
        Slowed(nn.Identity(), 0)


def test_each_arm_runs_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arm after arm, in the order given, as often as the slowest tool needs at least."""
    ran: list[int] = []

    def forward(arm: int) -> Any:
        return lambda: ran.append(arm)

    order = [2, 0, 3, 1]
    times_s = sequences.in_sequence([forward(arm) for arm in range(4)], 0.0, order)
    assert [len(each) for each in times_s] == [sequences.LEAST_FORWARDS] * 4
    assert ran == [arm for arm in order for _ in range(sequences.LEAST_FORWARDS)]


def test_the_order_is_drawn() -> None:
    """Each arm once; the same for the same seed."""
    orders = [sequences.drawn_order(7, seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert [sorted(order) for order in orders] == [list(range(7))] * 3


@pytest.mark.parametrize("name", ["slowed-", "slowed-x", "standard", ""])
def test_an_unknown_arm_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that names the flag."""
    with pytest.raises(SystemExit):
        pairs.main(["--arms", f"none,{name}"])
    assert f"--arms: must be from none, standard-r16, slowed-K, got '{name}'" in (
        capsys.readouterr().err
    )


def test_real_arms_run_by_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    """First what torch's timer takes, then the times of each arm in the order of the arms."""
    pairs.main(["--arms", "none,slowed-5000", "--size", "32", "--sequence", "0.1"])
    about, trunk, slowed = map(json.loads, capsys.readouterr().out.splitlines())
    assert sorted(about["order"]) == [0, 1]
    assert 0 < about["timer_overhead_s"] < 1e-3
    assert min(len(trunk), len(slowed)) >= sequences.LEAST_FORWARDS
    assert sorted(slowed)[25] > sorted(trunk)[25] > 0


@pytest.mark.parametrize("flags", [["--touch", "all"], ["--arms", "none,none@fused"]])
def test_real_arms_run_in_rounds(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever touched the trunk first; other executors are named, and none else."""
    if flags[0] == "--arms":
        with pytest.raises(SystemExit):
            pairs.main(flags)
        assert "executor must be from eager, compile, " in capsys.readouterr().err
        return
    pairs.main(["--arms", "none,none@eager", "--size", "32", "--seconds", "0.05", *flags])
    rounds = list(select(map(decode, capsys.readouterr().out.splitlines()), Round))
    assert len(rounds) >= 1
    assert all(min(each.samples_s) > 0 for each in rounds)


def test_a_process_waits_for_its_turn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that it is ready, and measures nothing unless it is sent a line."""
    command = ["--arms", "none", "--size", "32", "--seconds", "0.05", "--wait"]
    for sent, kinds in ((b"", ["ready"]), (b"\n", ["ready", "round"])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sent)))
        pairs.main(command)
        said = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
        assert list(dict.fromkeys(said)) == kinds
