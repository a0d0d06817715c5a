"""The row form of recordings and bare frames."""

from __future__ import annotations

import base64
import gzip
import io
import json

import pytest

from tests.recordings import RECORDINGS, needs_recordings
from unitape.tape.rows import iter_rows, open_rows


def rows(tmp_path, *lines: str | bytes, name: str = "x.jsonl"):
    path = tmp_path / name
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return list(open_rows(path))


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("1633998512.0633569", 1_633_998_512_063_356_900),
        ("1626992740.179554", 1_626_992_740_179_554_000),
        ("1723161253937085768", 1_723_161_253_937_085_768),
        ("1723161253937", 1_723_161_253_937_000_000),
        ("1723161253937085", 1_723_161_253_937_085_000),
        ('"1723161253"', 1_723_161_253_000_000_000),
        ("null", 0),
        ("0", 0),
    ],
)
def test_times_in_seconds_and_nanoseconds_are_exact(tmp_path, ts, expected):
    (row,) = rows(tmp_path, '{"ts":' + ts + ',"kind":"ws","payload":{"a":1}}')
    assert (row.ts, row.problem) == (expected, "")


@pytest.mark.parametrize("ts", ['"soon"', "-5", "1e300", '{"a":1}', "true"])
def test_a_time_that_is_none_is_a_problem_of_that_line_alone(tmp_path, ts):
    bad, good = rows(tmp_path, '{"ts":' + ts + ',"payload":{}}', '{"ts":1,"payload":{}}')
    assert "time" in bad.problem
    assert (good.problem, good.line) == ("", 2)


def test_the_payload_keeps_its_bytes_and_raw_text_wins(tmp_path):
    spaced, raw, text = rows(
        tmp_path,
        '{"kind":"ws","payload":{"p": 1.10,"q":"2"}}',
        json.dumps({"raw": '{"p":1.100}', "payload": {"p": 1.1}}),
        '{"kind":"ws","dir":"in","payload":"pong"}',
    )
    assert spaced.data == b'{"p": 1.10,"q":"2"}'
    assert raw.data == b'{"p":1.100}'
    assert text.data == b"pong"


def test_direction_kind_and_http_details(tmp_path):
    out, opened, http, family = rows(
        tmp_path,
        '{"dir":"out","kind":"ws","payload":{}}',
        '{"dir":"out","kind":"ws-open","url":"wss://x/y","payload":null}',
        '{"kind":"http","method":"GET","path":"/depth?symbol=A","status":400,"payload":{"code":-1}}',
        '{"kind":"trade","test":"spot","payload":{"a":1}}',
    )
    assert (out.incoming, out.kind) == (False, "ws")
    assert (opened.kind, opened.url, opened.data) == ("ws-open", "wss://x/y", b"")
    assert (http.kind, http.url, http.method, http.status) == ("http", "/depth?symbol=A", "GET", 400)
    assert (family.kind, family.incoming) == ("ws", True)


def test_another_librarys_pairs_are_read_as_rows(tmp_path):
    (row,) = rows(
        tmp_path, '{"exchange":"x","local_timestamp":"2019-09-01T00:00:01.275Z","message":{"a":1},"expected":[]}'
    )
    assert (row.data, row.ts) == (b'{"a":1}', 1_567_296_001_275_000_000)


def test_other_lines_are_bare_frames(tmp_path):
    binary = b"\x0a\x05spot@\x10\x01\xff\x00\x7f\x80"
    found = rows(
        tmp_path,
        '{"e":"trade","message":"hello"}',
        "T BTC-EUR 17 1.0",
        "",
        binary.hex(),
        base64.b64encode(binary * 2),
        "pong",
        '{"cut":',
        b"\xff\xfe",
    )
    assert [row.data for row in found] == [
        b'{"e":"trade","message":"hello"}',
        b"T BTC-EUR 17 1.0",
        binary,
        binary * 2,
        b"pong",
        b'{"cut":',
        b"\xff\xfe",
    ]
    assert [row.text for row in found] == [True, True, False, False, True, True, True]
    assert [row.line for row in found] == [1, 2, 4, 5, 6, 7, 8], "line numbers count empty lines"


def test_a_gzipped_file_reads_alike_and_a_damaged_one_says_where(tmp_path):
    lines = [f'{{"ts":{n + 1},"payload":{{"n":{n}}}}}' for n in range(5_000)]
    plain = rows(tmp_path, *lines)
    packed = rows(tmp_path, *lines, name="x.jsonl.gz")
    assert packed == plain
    cut = tmp_path / "cut.gz"
    cut.write_bytes((tmp_path / "x.jsonl.gz").read_bytes()[:-2_000])
    found = list(open_rows(cut))
    assert "cut off" in found[-1].problem
    assert found[:-1] == plain[: len(found) - 1]
    assert found[-1].line == len(found)


def test_a_file_of_one_frame(tmp_path):
    (tmp_path / "f.bin").write_bytes(b"\x00\n\x01")
    (tmp_path / "f.json").write_bytes(b'{\n "a": 1\n}\n')
    assert [(row.data, row.text) for row in open_rows(tmp_path / "f.bin")] == [(b"\x00\n\x01", False)]
    assert [(row.data, row.text) for row in open_rows(tmp_path / "f.json")] == [(b'{\n "a": 1\n}', True)]


def test_a_line_beyond_all_bounds_is_a_problem_and_the_next_one_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("unitape.tape.rows.MAX_LINE", 1_000)
    stream = io.BytesIO(b"a" * 5_000 + b"\n" + b"next\n")
    long, following = iter_rows(stream)
    assert "longer than 1000" in long.problem
    assert (following.data, following.line) == (b"next", 2)


@needs_recordings
def test_every_recorded_row_is_read():
    assert RECORDINGS is not None
    files = sorted(RECORDINGS.rglob("*.jsonl*"))
    assert len(files) > 250
    for file in files:
        opener = gzip.open if file.suffix == ".gz" else open
        with opener(file, "rb") as stream:
            lines = [json.loads(line) for line in stream if line.strip()]
        found = list(open_rows(file))
        assert len(found) == len(lines), file
        for row, line in zip(found, lines, strict=True):
            assert not row.problem, file
            expected = line.get("payload", line.get("message"))
            if row.kind in ("ws", "http") and expected is not None and not isinstance(expected, str):
                assert json.loads(row.data) == expected, (file, row.line)
