"""What is committed of the kernels' errors is what the kernels make."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.documents.sources import EMULATED, ROOT
from tests.timing_out import hanging

pytestmark = [pytest.mark.kernels, hanging(300)]


def test_errors_are_those_that_are_committed(tmp_path: Path) -> None:
    """To a tenth: another libm rounds the exponential elsewhere. None passes its limit."""
    # In a process of its own: the emulator takes the place of the CPU's kernels there.
    subprocess.run(
        [sys.executable, "-m", "tests.se_models.fused.cuda.errors", "--out", str(tmp_path)],
        check=True, timeout=250, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # beside other tests more wait, spinning
    )  # fmt: skip
    found, committed = (pd.read_csv(each) for each in (tmp_path / EMULATED.name, ROOT / EMULATED))
    assert len(found) == 6 * 3
    pd.testing.assert_frame_equal(found, committed, rtol=0.1)
    assert (found["error"] <= found["limit"]).all()
    assert (found["error"] > 0).all()
