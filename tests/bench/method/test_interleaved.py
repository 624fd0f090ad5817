"""Medians within one process in rounds, beside pytest-benchmark's of one model after the other."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.method.interleaved import interleaved, markdown, ratios_of_medians
from bench.method.lines import Rounds
from bench.method.recording import Recording
from tests.bench.method.made_up import ASKED, TRUE, TRUNK_NS, recording, truth


def test_it_is_the_ratio_of_medians_of_the_rounds_that_fit() -> None:
    """Not the median of ratios; what lies beyond the time of a comparison is left out."""
    rounds = [(1, 2, 3, 1, 1), (4, 4, 4, 1, 1), (2, 3, 9, 1, 1), (100, 1, 1, 1, 1)]
    wall_ns = tuple(tuple(TRUNK_NS * time for time in times) for times in rounds)
    said = Rounds(wall_ns, wall_ns, 1.0, 0, 0.0)
    whole_s = 1e-9 * TRUNK_NS * sum(map(sum, rounds[:3]))
    asked = msgspec.structs.replace(ASKED, length_s=whole_s + 1e-6)
    assert ratios_of_medians(said, asked) == pytest.approx([3 / 2, 4 / 2])


def test_spreads_are_told_beside_each_other() -> None:
    """Of the equal models alone, with their numbers, and how many times as far one is."""
    scattered = ((0.0, 0.0, 0.01, 0.05), (1.0, 1.06, 0.94, 1.0, 1.05))
    made = recording(TRUE, scattered, TRUE, scattered)
    kept = [line for line in made.lines if type(line) is not type(truth(0, 0.01, 0.05))]
    lines = [truth(number, 0.01, 0.05) for number in range(4)]
    shaken = [
        msgspec.structs.replace(
            line,
            said=msgspec.structs.replace(
                line.said,
                wall_ns=tuple(
                    (times[0], round(times[1] * (1 + off)), round(times[2] * (1 - off)), *times[3:])
                    for times in line.said.wall_ns
                ),
            ),
        )
        for line, off in zip(lines, (0.01, -0.01, 0.02, -0.02), strict=True)
    ]
    frame = interleaved([Recording(made.header, (*shaken, *kept))])
    (row,) = frame.to_dict("records")
    assert (row["n"], row["interleaved_n"]) == (8, 8)
    alone = np.std([1, 1, 1.06, 0.94] * 2, ddof=1)
    within = np.std([1.01, 0.99, 0.99, 1.01, 1.02, 0.98, 0.98, 1.02], ddof=1)
    assert row["sd_pct"] == pytest.approx(100 * alone, rel=1e-3)
    assert row["interleaved_sd_pct"] == pytest.approx(100 * within, rel=1e-3)
    assert row["times"] == pytest.approx(alone / within, rel=1e-3)
    assert row["times_low"] <= row["times"] <= row["times_high"]
    assert markdown(frame).startswith("- *quiet, 64 px*, 5 s for 5 benchmarks: sd 4.54 % ")
