"""The seed of random schedules."""

from __future__ import annotations

import zlib

import pytest


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another for every test and case, the same each time; pytest shows it of one that fails."""
    made = zlib.crc32(request.node.nodeid.encode())
    print(f"random schedules from seed {made}")
    return made
