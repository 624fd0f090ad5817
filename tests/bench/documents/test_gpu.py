"""What docs/gpu.md shows, of tables that are known by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.documents.gpu import cubins, emulated, predicted
from bench.documents.sources import PUBLISHED
from bench.measure.cubins import MOST_REGISTERS
from se_models.fused.cuda.launch import THREADS

ROOT = Path(__file__).parents[3]


def test_kernels_are_told_by_architecture_and_dtype() -> None:
    """Widths of different dtypes share a line; spills and divisions are counted over all."""
    rows = [
        {"architecture": architecture, "dtype": dtype, "kernel": f"tail_pixels<{wide}>",
         "registers": registers, "shared_bytes": 256, "spill_bytes": spilt, "local_accesses": 0,
         "wide_loads": loads, "wide_stores": 1, "divides_64_bits": False, "nvrtc": "13.0.88"}
        for architecture, dtype, wide, registers, loads, spilt in (
            ("sm_80", "float32", 4, 24, 2, 0), ("sm_80", "float16", 8, 30, 3, 0),
            ("sm_90", "float32", 4, 25, 2, 0), ("sm_90", "float16", 8, 31, 2, 8),
        )
    ]  # fmt: skip
    text = cubins(pd.DataFrame(rows))
    (line,) = (each for each in text.splitlines() if each.startswith("| `tail_pixels"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["`tail_pixels<wide>`", "24/30", "25/31", "256", "2 to 3", "1"]
    assert text.startswith("By NVRTC 13.0.88: ")
    assert "for maps of float32/float16" in text
    assert "least to most over dtypes and architectures" in text
    assert "Over all 4 compiled kernels 8 bytes" in text


def test_the_page_tells_the_registers_that_are_allowed() -> None:
    """Those that the tests of compiled kernels hold them to, and how many of a multiprocessor's."""
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"more than {MOST_REGISTERS} registers: four blocks of {THREADS} threads" in page
    assert 4 * THREADS * MOST_REGISTERS == 65_536


def test_errors_stand_by_operator_and_dtype() -> None:
    """Beside what is allowed; and the largest of each dtype."""
    rows = [
        ("scale", "float32", 3.11e-7, 5e-6), ("scale", "float16", 4.05e-4, 2e-3),
        ("tail_", "float32", 9.1e-8, 5e-6), ("tail_", "float16", 5.62e-4, 2e-3),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["operator", "dtype", "error", "limit"])
    text = emulated(frame)
    assert "Of all operators 3.1e-07 of float32, 5.6e-04 of float16." in text
    (line,) = (each for each in text.splitlines() if each.startswith("| `scale`"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["`scale`", "3.1e-07 of 5e-06", "4.0e-04 of 2e-03"]


def test_predictions_stand_beside_what_is_published() -> None:
    """Of the same GPU and network, and how far they are off; what is not predicted is no number."""
    published = pd.read_csv(ROOT / PUBLISHED)
    frame = pd.DataFrame(
        {"gpu": gpu, "architecture": network, "batch": 256, "placement": "standard", "path": path,
         "predicted_overhead_pct": 10.0 if path == "eager" else 2.5,
         "predicted_overhead_low_pct": 8.0, "predicted_overhead_high_pct": 12.5}
        for gpu in ("RTX 3090", "RTX 4090")
        for network in ("resnet18", "resnet50", "resnet101")
        for path in ("eager", "fused")
    )  # fmt: skip
    text = predicted(frame, published)
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| RTX")
    ]
    assert len(cells) == 15
    eager, compiled = cells[1], cells[10]
    assert eager[:4] == ["RTX 3090", "amp nchw torch 2.4", "resnet50", "13.7"]
    assert eager[4:] == ["10.0", "8.0 to 12.5", "-3.7", "2.5"]
    assert compiled[:4] == ["RTX 4090", "amp nchw torch.compile torch 2.9", "resnet50", "28.4"]
    assert compiled[4:] == ["–"] * 4
