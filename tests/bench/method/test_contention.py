"""The experiment on other work: its load is real and ends, its table says what was measured."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.method import contention
from bench.method.__main__ import main
from bench.method.contention import Policy, markdown, policies
from bench.method.load import under
from bench.record import Round


def children() -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "select.select"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [int(pid) for pid in found.stdout.split()]


def cpu_s(pids: list[int]) -> float:
    ticks = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(each[11]) for each in ticks) / os.sysconf("SC_CLK_TCK")


def test_a_load_takes_cpus_and_is_gone_afterwards() -> None:
    """Two processes on two CPUs, one of them busy all the time; none where it is to be quiet."""
    with under("loaded", 2):
        pids = children()
        assert len(pids) == 2
        time.sleep(1.5)
        assert cpu_s(pids) > 0.5
    assert children() == []


def test_a_load_is_gone_after_an_interrupt() -> None:
    """Ctrl-C leaves no process behind."""
    with pytest.raises(KeyboardInterrupt), under("loaded", 2):
        raise KeyboardInterrupt
    assert children() == []


def test_quiet_is_no_load() -> None:
    """Nothing is started."""
    with under("quiet", 2):
        assert children() == []


def test_every_policy_but_those_of_one_thread_uses_all_cpus() -> None:
    """Names are unique, since the table groups by them."""
    found = policies(4)
    assert {policy.threads for policy in found[:-2]} == {4}
    assert [policy.threads for policy in found[-2:]] == [1, 1]
    assert len({policy.name for policy in found}) == len(found)
    assert found[0].variables == {}


def test_what_the_caller_has_set_does_not_reach_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployed process must wait as one does by default, whatever this one does."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    seen: list[dict[str, str]] = []

    def run(
        command: list[str], *, env: dict[str, str], **_: object
    ) -> subprocess.CompletedProcess[bytes]:
        seen.append(env)
        return subprocess.CompletedProcess(command, 0, b"")

    monkeypatch.setattr("bench.method.contention.subprocess.run", run)
    contention._measure(Policy("deployed", 2), 1.0, 64, 0)
    contention._measure(Policy("odd", 2, {"GOMP_SPINCOUNT": "7"}), 1.0, 64, 0)
    assert "OMP_WAIT_POLICY" not in seen[0]
    assert seen[1]["GOMP_SPINCOUNT"] == "7"
    assert "PATH" in seen[0]


def test_a_process_is_summed_up_by_both_clocks() -> None:
    """Medians of ratios to the trunk, the first arm."""
    rounds = [
        Round("", (0, 1, 2), (s, 1.01 * s, 1.06 * s), 0.0, 1.0, 0, 0.0, 0.0,
              cpu_samples_s=(2 * s, 2.04 * s, 2.2 * s))
        for s in (0.010, 0.012, 0.020)
    ]  # fmt: skip
    summary = contention._summary(rounds)
    assert summary["trunk_ms"] == pytest.approx(12.0)
    assert summary["control_pct"] == pytest.approx(1.0)
    assert summary["se_pct"] == pytest.approx(6.0)
    assert summary["control_cpu_pct"] == pytest.approx(2.0)
    assert summary["se_cpu_pct"] == pytest.approx(10.0)
    assert summary["scatter_pct"] == pytest.approx(0.0, abs=1e-9)


def test_the_table_has_a_line_for_each_load_and_policy() -> None:
    """In the order of the policies, whichever came first; then what waiting and load change."""
    rows = [
        {"load": load, "policy": policy, "rounds": 9, "trunk_ms": 10.0 + number,
         "scatter_pct": 5.0, "control_pct": number - 1.0, "se_pct": 6.0,
         "control_cpu_pct": 0.0, "se_cpu_pct": 6.0 + number}
        for load in ("loaded", "quiet") for policy in ("passive", "deployed")
        for number in range(3)
    ]  # fmt: skip
    lines = markdown(pd.DataFrame(rows)).splitlines()
    assert len(lines) == 2 + 4 + 1 + 4
    assert [line.split("|")[2].strip() for line in lines[2:6]] == ["deployed", "passive"] * 2
    assert lines[2].split("|")[1] == " quiet  "
    assert "-1.0 to +1.0" in lines[2]
    assert f"+7.0 ± {1 / np.sqrt(3):.1f}" in lines[2]
    assert lines[7] == (
        "- By wall time the ratio of SE to its trunk, deployed in quiet over passive in quiet: "
        "+0.0 [+0.0, +0.0] %."
    )
    assert lines[9].startswith("- By CPU time")
    assert "passive in loaded over passive in quiet: +0.0 [-" in lines[10]


def test_policies_may_change_what_runs() -> None:
    """Whose threads touch memory first, and what stands beside."""
    flags = {policy.name: policy.flags for policy in policies(2)}
    assert flags["first touched by all"] == ("--touch", "all")
    assert flags["beside onnxruntime"] == (
        "--arms", "none,none,standard-r16,none@onnxruntime",
    )  # fmt: skip
    assert flags["deployed"] == ()


def test_the_order_of_policies_does_not_depend_on_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A table reads the same on every machine; only what runs is what is there."""
    here = policies(2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert policies(2) == here
    left_out = {policy.name for policy in here if not policy.runs_here}
    assert left_out == {"beside onnxruntime", "beside openvino"}


@pytest.mark.slow
def test_real_models_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One way of waiting, in quiet and under load, end to end."""
    monkeypatch.setattr(contention, "policies", lambda cpus: policies(cpus)[-2:-1])
    command = ["contention", "--processes", "1", "--seconds", "1", "--out", str(tmp_path)]
    assert main(command) == 0
    frame = pd.read_csv(tmp_path / contention.CONTENTION)
    assert list(frame["load"]) == ["quiet", "loaded"]
    assert (frame["rounds"] >= 1).all()
    assert (frame["trunk_ms"] > 0.5).all()
