"""What the documents say of the kernels, on times that are known by hand."""

from __future__ import annotations

from itertools import product

import pandas as pd

from bench.documents import kernels
from bench.documents.kernels import CONTROL, EXCITE, GATED_TAIL, PLAIN_TAIL, SQUEEZE, markdown
from bench.measure import bandwidth

# Milliseconds of a call on each of two maps, and of the gigabytes that it moves.
CALLS = {
    CONTROL: (0.3, 3), SQUEEZE: (0.2, 1), EXCITE: (0.08, 0.1), PLAIN_TAIL: (0.4, 3),
    GATED_TAIL: (0.48, 3), kernels.EAGER: (1.4, 8),
}  # fmt: skip


def frame() -> pd.DataFrame:
    """A network of two maps, the first of two blocks, the second of one and half as large."""
    rows = []
    for batch in (1, 8):
        setting = {"architecture": "resnet18", "layout": "contiguous", "batch": batch, "threads": 2}
        for (side, blocks), (name, (ms, moved)) in product(((56, 2), (28, 1)), CALLS.items()):
            size = side / 56 * batch
            rows.append(
                {**setting, "channels": 64, "side": side, "blocks": blocks, "kernel": name,
                 "moved_bytes": moved * 1e6 * size, "seconds": ms * 1e-3 * size}
            )  # fmt: skip
        rows.append({**setting, "kernel": kernels.TRUNK, "seconds": 0.025 * batch})
    return pd.DataFrame(rows)


def line(text: str, start: str) -> list[str]:
    (found,) = (each for each in text.splitlines() if each.startswith(f"| {start} "))
    return [each.strip() for each in found.strip("|").split("|")]


def test_bandwidth_is_bytes_over_time_beside_the_control() -> None:
    """Over all maps together, each as often as the network has it."""
    text = markdown(frame())
    assert line(text, f"`{CONTROL}`")[1:] == ["10.0 (100)"] * 2
    assert line(text, f"`{SQUEEZE}`")[1:] == ["5.0 (50)"] * 2
    assert line(text, f"`{PLAIN_TAIL}`")[1:] == ["7.5 (75)"] * 2


def test_the_cost_of_se_is_told_in_parts_and_beside_its_floor() -> None:
    """Two and a half maps: mean, layers and gate; the floor is a third of the control's time."""
    text = markdown(frame())
    assert line(text, "resnet18, batch 1, contiguous")[1:] == [
        "0.50", "0.20", "0.20", "0.90 (3.6)", "0.25 (1.0)", "2.50 (10.0)", "25.00",
    ]  # fmt: skip


def test_the_names_are_those_of_what_is_measured() -> None:
    """The two sides of the table may not import each other."""
    measured = [each.name for each in bandwidth.kernels_on((1, 16, 4, 4), "contiguous")]
    assert set(CALLS) <= set(measured)
    assert (kernels.CONTROL, kernels.TRUNK) == (bandwidth.CONTROL, bandwidth.TRUNK)
