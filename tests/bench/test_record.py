"""Records come back from a file as they went in, whatever happened to the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.line_files import BusyError, pack
from bench.record import (
    SCHEMA_VERSION,
    Counts,
    Header,
    Journal,
    Outcome,
    Record,
    Round,
    SchemaError,
    decode,
    encode,
    read,
)
from bench.trial import Trial, Variant, Workload
from tests.bench.test_trial import trials

HEADER = Header(schema=SCHEMA_VERSION, created_at="2026-01-01T00:00:00+00:00", suite_version="1")
TRIAL = Trial(Variant("resnet18"), Workload())
ROUND = Round("visit", (1, 0), (0.1, 1 / 3), 1.0, 1.5, 0, None, 0.25)

sizes = st.integers(0, 2**50)
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(Counts, trials, sizes, sizes, sizes, sizes, sizes, sizes, sizes),
    st.builds(
        Outcome,
        trials,
        st.sampled_from(["counts", "memory", "latency"]),
        st.sampled_from(["ok", "oom", "crashed"]),
        st.none() | st.text(),
        st.none() | st.text(),
    ),
    st.builds(
        Round,
        st.text(),
        st.lists(st.integers(0, 7)).map(tuple),
        st.lists(st.floats(0, 1e3)).map(tuple),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.none() | sizes,
        st.none() | st.floats(0, 1e3),
        st.none() | st.floats(0, 1e3),
    ),
)


def journal_of(path: Path, *records: Record) -> None:
    with Journal(path, header=HEADER) as journal:
        for record in records:
            journal.append(record)


@given(records)
@settings(max_examples=100)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Nothing is rounded, lost or added, and a record is one line of strict JSON."""
    line = encode(record)
    assert decode(line) == record
    assert line.count(b"\n") == 1
    json.loads(line, parse_constant=pytest.fail)


def test_a_journal_begins_with_its_schema_and_keeps_the_order(tmp_path: Path) -> None:
    """The header is written once, however often the file is opened."""
    path = tmp_path / "folder" / "records.jsonl"
    journal_of(path, ROUND)
    journal_of(path, Outcome(TRIAL, "latency", "ok"))
    assert read(path) == [HEADER, ROUND, Outcome(TRIAL, "latency", "ok")]


def test_every_line_is_in_the_file_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    """A kill of the process loses nothing that was appended."""
    path = tmp_path / "records.jsonl"
    with Journal(path, header=HEADER) as journal:
        journal.append(ROUND)
        assert read(path) == [HEADER, ROUND]


@given(cut=st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_a_torn_last_line_is_left_out_and_then_cut_off(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """Whatever a kill leaves of the last line, the lines before it hold and the file goes on."""
    path = tmp_path_factory.mktemp("torn") / "records.jsonl"
    journal_of(path, ROUND)
    whole = path.read_bytes()
    path.write_bytes(whole + encode(ROUND)[:cut].rstrip(b"\n"))
    assert read(path) == [HEADER, ROUND]
    journal_of(path, ROUND)
    assert read(path) == [HEADER, ROUND, ROUND]


def test_a_packed_file_reads_the_same_and_goes_on_plain(tmp_path: Path) -> None:
    """What was packed after a run is unpacked by the one that continues it."""
    path = tmp_path / "records.jsonl"
    journal_of(path, ROUND)
    pack(path)
    assert read(path) == [HEADER, ROUND]
    journal_of(path, ROUND)
    assert read(path) == [HEADER, ROUND, ROUND]
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_packed_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Half of it is not taken for a shorter one."""
    path = tmp_path / "records.jsonl"
    journal_of(path, ROUND)
    place = pack(path)
    place.write_bytes(place.read_bytes()[:-12])
    with pytest.raises(SchemaError, match=r"records\.jsonl\.gz does not unpack: "):
        read(path)


def test_a_file_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    """Half a header is no header."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(encode(HEADER)[:20])
    journal_of(path, ROUND)
    assert read(path) == [HEADER, ROUND]


def test_another_schema_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    """A file of a later version is not read as if it were of this one."""
    path = tmp_path / "records.jsonl"
    path.write_text('{"kind":"header","schema":99,"new":1}\n')
    with pytest.raises(SchemaError, match=r"must be 1, got 99: .* --fresh"):
        read(path)


def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    """A file is never half understood."""
    path = tmp_path / "records.jsonl"
    journal_of(path, ROUND)
    path.write_bytes(path.read_bytes() + b'{"kind":"round","visit":3}\n')
    with pytest.raises(SchemaError, match="line 3: not a record"):
        read(path)


def test_an_unknown_field_is_refused() -> None:
    """A misspelt field does not vanish silently."""
    line = json.dumps({**json.loads(encode(ROUND)), "sampels": []})
    with pytest.raises(SchemaError, match="unknown field `sampels`"):
        decode(line)


def test_a_second_run_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Two runs do not mix their lines; when the first is done the second may go on."""
    path = tmp_path / "records.jsonl"
    with (
        Journal(path, header=HEADER),
        pytest.raises(BusyError, match=r"another run is writing to .*records\.jsonl"),
    ):
        Journal(path, header=HEADER)
    journal_of(path, ROUND)
