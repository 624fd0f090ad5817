"""A recording comes back as it was written, and is gone on with only by the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.gate.proof.lines import RECORDING, appending, check_same, read
from bench.method.recording import RefusedError
from tests.bench.gate.proof.made_up import HEADER, PARAMETERS, ran


def test_runs_come_back_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    """What a kill left of a line is cut off before the next is appended."""
    path = tmp_path / "new" / RECORDING
    with appending(path) as append:
        append(HEADER)
        append(ran(0, "quiet"))
    with path.open("ab") as file:
        file.write(b'{"line":"ran","num')
    assert read(path).header == HEADER
    assert read(path).runs == (ran(0, "quiet"),)
    with appending(path) as append:
        append(ran(1, "slowed"))
        with pytest.raises(RefusedError, match="another run"), appending(path):
            pass
    assert [run.number for run in read(path).runs] == [0, 1]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    """Also one of another schema version."""
    path = tmp_path / RECORDING
    for damage in (b"", b"{}\n", b'{"line":"ran"}\n'):
        path.write_bytes(damage)
        with pytest.raises(RefusedError, match="move it away"):
            read(path)
    path.unlink()
    with appending(path) as append:
        append(msgspec.structs.replace(HEADER, schema=99))
    with pytest.raises(RefusedError, match="schema"):
        read(path)


def test_only_the_same_goes_on(tmp_path: Path) -> None:
    """Another commit or another budget would mix what differs."""
    path = tmp_path / RECORDING
    check_same(path, HEADER, PARAMETERS, HEADER.commit)
    other = msgspec.structs.replace(PARAMETERS, gate_s=99)
    with pytest.raises(RefusedError, match=r"gate_s was 15.*, is 99; the commit was 0123456789ab"):
        check_same(path, HEADER, other, "fedcba9876543210")
