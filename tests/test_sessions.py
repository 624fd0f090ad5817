"""What `nox -s kernels` runs is what docs/gpu.md says of it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bench.documents.sources import ROOT

KERNELS = ROOT / "tests" / "se_models" / "fused" / "cuda"
MEASURE = ROOT / "tests" / "bench" / "measure"


@pytest.mark.kernels
def test_kernels_leaves_out_no_file_of_theirs() -> None:
    """Launches, captures and the self-check on stand-ins are no less than kernels on the CPU."""
    _before, _def, session = (ROOT / "noxfile.py").read_text().partition("def kernels(")
    chosen = re.findall(r'_pytest\(session, "(.+)"\)', session)[0]
    files = {*KERNELS.glob("test_*.py"), *MEASURE.glob("test_selfcheck*.py")}
    files |= {MEASURE / "test_queued.py", MEASURE / "test_cubins.py"}
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", chosen, *map(str, files)],
        capture_output=True, text=True, check=True, timeout=100, cwd=ROOT,
    ).stdout  # fmt: skip
    ran = {ROOT / line.partition("::")[0] for line in collected.splitlines() if "::" in line}
    assert ran == files
