"""What the documents say of the kernels, on times that are known by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.documents import kernels
from bench.documents.kernels import CONTROL, PRODUCT, TRUNK, control_rate, markdown
from bench.measure import bandwidth, controls, operator_calls

MACHINE = "Intel(R) Xeon(R) Processor @ 2.60GHz"
# Of each call: how often the plain twin, the one as published and that of `pre` make it; the
# megabytes it moves, the megaflops, its time in ms, and the control's megabytes and time in ms.
CALLS = {
    "tail_, shortcut": (2, 0, 1, (3, 0, 0.4), (CONTROL, 3, 0.3)),
    "squeeze_excite_tail_, shortcut": (0, 2, 0, (4, 0, 0.5), (CONTROL, 3, 0.3)),
    "excite_scale": (0, 0, 1, (2, 0, 0.25), (CONTROL, 3, 0.3)),
    "pointwise": (1, 1, 0, (2, 100, 0.5), (PRODUCT, 2, 0.4)),
}


def frame() -> pd.DataFrame:
    """A network for one image and for eight, which take eight times as long."""
    rows = []
    for batch in (1, 8):
        workload = {
            "architecture": "resnet18", "layout": "contiguous", "batch": batch, "size": 224,
            "dtype": "float32", "threads": 4, "machine": MACHINE, "map": "64x56x56",
        }  # fmt: skip
        for side, blocks in ((1, 2), (0.5, 1)):
            rows.append(
                {**workload, "kernel": CONTROL, "none": blocks, "standard": blocks, "pre": blocks,
                 "moved_bytes": 3e6 * side * batch, "flops": 0, "seconds": 3e-4 * side * batch}
            )  # fmt: skip
        rows.append({**workload, "kernel": TRUNK, "none": 1, "seconds": 0.02 * batch})
        for name, (none, standard, pre, own, (control, control_mb, control_ms)) in CALLS.items():
            moved_mb, mflop, ms = own
            rows.append(
                {**workload, "kernel": name, "none": none, "standard": standard, "pre": pre,
                 "moved_bytes": moved_mb * 1e6 * batch, "flops": mflop * 1e6 * batch,
                 "seconds": ms * 1e-3 * batch, "control": control,
                 "control_bytes": control_mb * 1e6 * batch,
                 "control_seconds": control_ms * 1e-3 * batch}
            )  # fmt: skip
    return pd.DataFrame(rows)


def line(text: str, start: str) -> list[str]:
    (found,) = (each for each in text.splitlines() if each.startswith(f"| {start} "))
    return [each.strip() for each in found.strip("|").split("|")]


def test_bandwidth_is_bytes_over_time_beside_the_control() -> None:
    """Of the same maps, in percent; and who calls it."""
    text = markdown(frame())
    assert line(text, f"`{CONTROL}`")[1:] == ["all", *["10.0 (100)"] * 2]
    assert line(text, "`tail_, shortcut`")[1:] == ["none, pre", *["7.5 (75)"] * 2]
    assert line(text, "`squeeze_excite_tail_, shortcut`")[1:] == ["standard", *["8.0 (80)"] * 2]


def test_products_are_told_by_their_arithmetic_too() -> None:
    """GFLOP/s, GB/s, and the share of the time that torch's product takes."""
    assert line(markdown(frame()), "`pointwise`")[1:] == [
        "none, standard", *["200, 4.0 (80)"] * 2
    ]  # fmt: skip


def test_a_kernel_counts_as_often_as_the_twin_that_calls_it_most() -> None:
    """Over all maps together: ten megabytes in 1.2 ms twice, and as much in 0.4 ms once."""
    table = frame()
    small = table[(table["kernel"] == "tail_, shortcut") & (table["batch"] == 1)]
    small = small.assign(none=0, pre=1, moved_bytes=10e6, seconds=0.4e-3)
    text = markdown(pd.concat([table, small], ignore_index=True))
    # 2 x 3 + 10 megabytes in 2 x 0.4 + 0.4 ms, beside 9 in 0.9.
    assert line(text, "`tail_, shortcut`")[2] == "13.3 (133)"


def test_what_is_not_called_has_no_number() -> None:
    """A batch whose twins do without a kernel leaves its cell empty."""
    table = frame()
    table = table[(table["kernel"] != "excite_scale") | (table["batch"] == 1)]
    assert line(markdown(table), "`excite_scale`")[2:] == ["8.0 (80)", "–"]


def test_the_cost_of_se_is_that_of_the_calls_it_adds_and_spares() -> None:
    """Of the twins themselves; the floor is their bytes at the control's rate."""
    assert line(markdown(frame()), "resnet18, batch 1, contiguous")[1:] == [
        # Two calls of 0.5 ms in the place of two of 0.4; 2 MB more at 10 GB/s, of 20 ms.
        "1.00", "-0.80", "0.20 (1.0)", "0.20 (1.0)",
        # One of 0.25 more, and of 0.4 and 0.5 each one fewer.
        "-0.65 (-3.2)", "20.00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "resnet34"}, {"batch": 2}, {"layout": "channels_last"}, {"size": 64},
        {"dtype": "bfloat16"}, {"threads": 1}, {"machine": "another"},
    ],
    ids=str,
)  # fmt: skip
def test_a_rate_holds_for_its_own_workload_and_machine(change: dict[str, object]) -> None:
    """Whatever else differs, it was not measured."""
    workload = frame().iloc[0]
    assert control_rate(frame(), workload) == pytest.approx(10e9)
    assert control_rate(frame(), pd.Series({**workload, **change})) is None


def test_a_table_of_another_form_is_refused() -> None:
    """The error names what it lacks, and the command that makes it anew."""
    older = frame().drop(columns=["machine", "control"])
    for refused in (lambda: markdown(older), lambda: control_rate(older, frame().iloc[0])):
        with pytest.raises(ValueError, match=r"lacks machine, control: `nox -s bandwidth`"):
            refused()


def test_the_names_are_those_of_what_is_measured() -> None:
    """The two sides of the table may not import each other."""
    assert (kernels.CONTROL, kernels.PRODUCT) == (controls.CONTROL, controls.PRODUCT)
    assert kernels.TRUNK == bandwidth.TRUNK
    assert kernels.PACKED == operator_calls.PACKED
