"""Recordings survive kills, and nothing else goes on with them than what began them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.environment import Machine, Source
from bench.line_files import pack
from bench.method.lines import SCHEMA_VERSION, Parameters, decode, encode
from bench.method.recording import (
    RefusedError,
    appending,
    check_same,
    path_of,
    paths_in,
    read,
    set_aside,
)
from tests.bench.method.made_up import (
    ASKED,
    MACHINE,
    OTHER_MACHINE,
    SOURCE,
    asked,
    header,
    one_set,
    recording,
    truth,
    written,
)

CONTENT = recording(((0.0, 0.0, 0.01, 0.05), (1.0, 1.0, 1.0, 1.0, 1.1)))


def test_every_kind_of_line_survives_a_round_trip() -> None:
    """What a machine does not tell included."""
    for line in (CONTENT.header, *CONTENT.lines):
        assert encode(line).endswith(b"}\n")
        assert decode(encode(line)) == line
    text = encode(one_set(0, (0.0,), (1.0, 1.0))[0])
    silent = text.replace(b'"steal_s":0.0', b'"steal_s":null')
    assert silent != text
    assert encode(decode(silent)) == silent


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Line by line, in the file of its condition."""
    path = written(tmp_path, CONTENT)
    assert path == tmp_path / "quiet-64px.jsonl"
    assert read(path) == CONTENT


def test_a_torn_last_line_is_left_out_and_cut_off(tmp_path: Path) -> None:
    """What comes next is a line of its own."""
    path = written(tmp_path, CONTENT)
    path.write_bytes(path.read_bytes()[:-10])
    assert read(path).lines == CONTENT.lines[:-1]
    with appending(path) as writer:
        writer.append(truth(9, 0.01, 0.05))
    assert read(path).lines == (*CONTENT.lines[:-1], truth(9, 0.01, 0.05))


def test_one_run_at_a_time_writes(tmp_path: Path) -> None:
    """Another is told so, and moves nothing away."""
    path = written(tmp_path, CONTENT)
    with appending(path):
        with pytest.raises(RefusedError, match="another run is writing"), appending(path):
            pass
        with pytest.raises(RefusedError, match="another run is writing"):
            set_aside(path)
    assert read(path) == CONTENT


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f'"schema":{SCHEMA_VERSION}', '"schema":7', "must be 3, got 7"),
        (f'"schema":{SCHEMA_VERSION},', "", "must be 3, got None"),
        ('{"kind":"header"', "oh", "is damaged"),
        ('"process":0', '"process":"x"', "is damaged"),
        ('{"kind":"header"', '{"kind":"truth"', "is damaged"),
    ],
)
def test_what_is_no_recording_is_refused(old: str, new: str, told: str, tmp_path: Path) -> None:
    """With the remedy, and untouched."""
    path = written(tmp_path, CONTENT)
    changed = path.read_text().replace(old, new, 1)
    path.write_text(changed)
    with pytest.raises(RefusedError, match=told) as refused:
        read(path)
    assert "--fresh" in str(refused.value)
    assert path.read_text() == changed


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """As damaged: it was not made by a run."""
    path = path_of(tmp_path, "quiet", 64)
    path.write_bytes(b"")
    with pytest.raises(RefusedError, match="is damaged"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parameters": asked("quiet", length_s=2.0)}, "length_s was 5.0, is 2.0"),
        ({"parameters": asked("quiet", waiting="passive")}, "waiting was 'deployed', is 'passive'"),
        ({"machine": OTHER_MACHINE}, "cpu was 'a CPU', is 'another CPU'"),
        (
            {"source": dataclasses.replace(SOURCE, fingerprint="x")},
            "the suite's source has changed",
        ),
    ],
)
def test_what_was_recorded_otherwise_is_not_gone_on_with(
    changes: dict[str, Any], told: str
) -> None:
    """The refusal names the difference and the remedy; a commit alone is none."""
    same: dict[str, Any] = {"parameters": ASKED, "machine": MACHINE, "source": SOURCE}
    committed = dataclasses.replace(SOURCE, commit="1234567")
    check(**{**same, "source": committed})
    with pytest.raises(RefusedError, match=told) as refused:
        check(**{**same, **changes})
    assert "--fresh" in str(refused.value)


def check(parameters: Parameters, machine: Machine, source: Source) -> None:
    check_same(Path("quiet.jsonl"), header(), parameters, machine, source)


def test_a_packed_recording_is_read_kept_and_gone_on_with(tmp_path: Path) -> None:
    """By its plain name; what goes on with it makes it plain."""
    path = written(tmp_path, CONTENT)
    pack(path)
    assert paths_in(tmp_path) == [path]
    assert read(path) == CONTENT
    with appending(path):
        assert read(path) == CONTENT
    assert list(tmp_path.iterdir()) == [path]
    pack(path)
    assert set_aside(path) == tmp_path / "quiet-64px.1.jsonl.gz"
    assert paths_in(tmp_path) == []


def test_earlier_recordings_are_kept(tmp_path: Path) -> None:
    """Each under the next number that is free."""
    assert set_aside(path_of(tmp_path, "quiet", 64)) is None
    for number in (1, 2):
        kept = set_aside(written(tmp_path, CONTENT))
        assert kept == tmp_path / f"quiet-64px.{number}.jsonl"
        assert read(kept) == CONTENT
    assert not path_of(tmp_path, "quiet", 64).exists()
