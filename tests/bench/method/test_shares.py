"""Shares have the exact interval."""

from __future__ import annotations

import pytest

from bench.method.shares import share


def test_a_share_has_its_exact_interval() -> None:
    """Of 20 that are all of a kind, by Clopper and Pearson: from 0.025 ** (1 / 20) on."""
    every, none = share(20, 20), share(0, 20)
    assert (every.value, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 20))
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_an_interval_holds_its_share() -> None:
    """5 of 10: from 18.7 to 81.3 %, as tables have it."""
    half = share(5, 10)
    assert (half.low, half.high) == pytest.approx((0.1871, 0.8129), abs=1e-4)


@pytest.mark.parametrize(
    ("count", "n", "message"),
    [
        (0, 0, "n must be positive, got 0"),
        (3, 2, "count must be one of 0 to 2, got 3"),
        (-1, 2, "count must be one of 0 to 2, got -1"),
    ],
)
def test_what_is_no_share_is_refused(count: int, n: int, message: str) -> None:
    """The error names the number and what it must be."""
    with pytest.raises(ValueError, match=message):
        share(count, n)
