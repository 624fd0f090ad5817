"""What is asked of the method is held against what the recordings say, and told with its count."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.method.comparisons import SUITE
from bench.method.targets import Target, targets


def row(slowed_pct: float, n: int, slower: int, **changes: object) -> dict[str, object]:
    return {
        "method": SUITE, "condition": "quiet", "size": 64, "comparison_s": 15.0,
        "slowed_pct": slowed_pct, "n": n, "slower": slower, "not_slower": 0,
        "inside_pct": 99.0, "inside_all_pct": 30.0,
        "even_spread_over_suite": 6.0 if slowed_pct == 0 else None, "even_spread_low": None,
        "even_spread_high": None, "disturbed": 0, **changes,
    }  # fmt: skip


def found(*rows: dict[str, object]) -> list[Target]:
    return targets(pd.DataFrame(list(rows)))


@pytest.mark.parametrize(("n", "slower", "met"), [(200, 2, True), (200, 3, False), (199, 0, False)])
def test_false_alarms_are_counted_over_all_recordings(n: int, slower: int, met: bool) -> None:
    """At most one in a hundred, and of no fewer than two hundred comparisons."""
    alarms = found(row(0, n - 20, slower), row(0, 20, 0, condition="loaded"))[2]
    assert alarms.met is met
    assert alarms.found.startswith(f"{slower}/{n} = ")


@pytest.mark.parametrize(("times", "met"), [(5.0, True), (4.9, False)])
def test_spread_is_at_even_time(times: float, met: bool) -> None:
    """Of the shortest comparisons of a recording."""
    longer = row(0, 8, 0, comparison_s=60.0, even_spread_over_suite=90.0)
    spread = found(longer, row(0, 20, 0, even_spread_over_suite=times))[0]
    assert (spread.met, spread.found) == (met, f"{times} times")
    assert spread.condition == "quiet, 64 px, 15 s"


@pytest.mark.parametrize(
    ("condition", "slowed_pct", "slower", "denied", "met"),
    [("quiet", 2.0, 38, 0, [True, True]), ("quiet", 2.0, 37, 0, [False, True]),
     ("loaded", 3.0, 36, 1, [True, False]), ("quiet", 3.0, 0, 40, [])],
)  # fmt: skip
def test_finds_are_those_of_a_minute(
    condition: str, slowed_pct: float, slower: int, denied: int, met: list[bool]
) -> None:
    """Which slowdown counts hangs on the condition; what it costs is no matter."""
    minute = {"condition": condition, "comparison_s": 60.0}
    rows = [
        row(0, 40, 0, condition=condition),
        row(slowed_pct, 40, slower, not_slower=denied, **minute),
    ]
    told = [each for each in found(*rows) if "60 s" in each.condition]
    assert [each.met for each in told] == met


def test_time_outside_forwards_is_told_both_ways() -> None:
    """Within measuring, which counts, and with starting."""
    inside = found(row(0, 20, 0, inside_pct=84.0))[-1]
    assert not inside.met
    assert inside.found == "84.0 %; 30 % of all time, starting included"


def test_nothing_is_said_of_no_recording() -> None:
    """Nor of one without equal models."""
    assert found(row(2.0, 4, 4)) == []
