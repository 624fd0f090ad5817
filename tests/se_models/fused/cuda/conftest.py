"""The seed of random schedules, and a stand-in for a device that captures."""

from __future__ import annotations

import zlib

import pytest

from tests.se_models.fused.cuda.stand_in import Device


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another for every test and case, the same each time; pytest shows it of one that fails."""
    made = zlib.crc32(request.node.nodeid.encode())
    print(f"random schedules from seed {made}")
    return made


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)
