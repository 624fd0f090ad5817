"""The record of a machine: what of it is available, and what makes another one of it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bench.environment import Machine, describe_machine


def test_a_machine_of_before_is_read_and_is_the_same() -> None:
    """Records older than the field tell no cores, and what is unknown is no difference."""
    machine = replace(describe_machine(), cores=2)
    line = msgspec.to_builtins(machine)
    assert msgspec.convert(line, Machine) == machine
    del line["cores"]
    old = msgspec.convert(line, Machine)
    assert old.cores is None
    assert machine.differences(old) == []
    other = replace(machine, cores=4)
    assert machine.differences(other) == ["cores was 4, is 2"]


def test_a_machine_says_what_of_it_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPUs, cores and quota stand in the record, each under its own name."""
    monkeypatch.setattr("bench.environment.allowed_cpus", lambda: frozenset({0, 1, 4}))
    monkeypatch.setattr("bench.environment.available_cores", lambda: 2)
    monkeypatch.setattr("bench.environment.quota_cpus", lambda: 1.5)
    machine = describe_machine()
    assert (machine.available_cpus, machine.cores, machine.quota_cpus) == (3, 2, 1.5)
