"""Cassettes: what we write, vcrpy plays; what vcrpy writes, we read."""

from __future__ import annotations

import json
import urllib.request
import warnings

import pytest
import vcr

from unitape.errors import TapeError
from unitape.feed.inputs import Failed, Fetch, Response, Tick
from unitape.spi import HttpRequest, HttpResponse
from unitape.tape.format import FeedHeader
from unitape.tape.record import Recorder
from unitape.tape.tape import Tape
from unitape.tape.vcr import Exchange, cassette_rows, exchanges, read_cassette, write_cassette

BASE = "http://pebble.test"
DEPTH = b'{"lastUpdateId":7,"bids":[["1.10","2"]],"asks":[]}'
ITEMS = [
    Exchange(
        BASE,
        HttpRequest("GET", "/api/depth", "symbol=A%2FB&limit=5", headers=(("x-api-key", "k" * 20), ("accept", "*/*"))),
        HttpResponse(200, DEPTH, (("content-type", "application/json"), ("content-encoding", "gzip"))),
    ),
    Exchange(BASE, HttpRequest("POST", "/order", "signature=abcdef", b"a=1"), HttpResponse(429, b"\x00\xff", ())),
]


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_vcrpy_plays_what_we_write(tmp_path, name):
    path = tmp_path / name
    items = ITEMS[:1] if name.endswith(".json") else ITEMS
    assert write_cassette(path, items) == len(items)
    player = vcr.VCR(serializer="json" if name.endswith(".json") else "yaml", record_mode="none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with player.use_cassette(str(path)) as cassette:
            with urllib.request.urlopen(f"{BASE}/api/depth?symbol=A%2FB&limit=5") as answer:
                assert (answer.status, answer.read()) == (200, DEPTH)
                assert answer.headers["content-type"] == "application/json"
            assert cassette.play_count == 1
    assert "kkkk" not in path.read_text()
    assert "abcdef" not in path.read_text()


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_what_we_write_we_read_back(tmp_path, name):
    path = tmp_path / name
    items = ITEMS[:1] if name.endswith(".json") else ITEMS
    write_cassette(path, items)
    found = read_cassette(path)
    assert [item.base for item in found] == [BASE] * len(items)
    assert found[0].request.target == "/api/depth?symbol=A%2FB&limit=5"
    assert found[0].response == HttpResponse(200, DEPTH, (("content-type", "application/json"),))
    if len(found) > 1:
        assert found[1].request.query == "signature=REDACTED"
        assert (found[1].request.body, found[1].response.status, found[1].response.body) == (b"a=1", 429, b"\x00\xff")
    write_cassette(tmp_path / f"again-{name}", found)
    assert (tmp_path / f"again-{name}").read_bytes() == path.read_bytes()


def test_we_read_what_vcrpy_writes(tmp_path):
    from vcr.request import Request
    from vcr.serialize import serialize
    from vcr.serializers import yamlserializer

    request = Request("GET", f"{BASE}/depth?symbol=A", None, {"accept": "*/*"})
    response = {"status": {"code": 200, "message": "OK"}, "headers": {"ETag": ["x"]}, "body": {"string": DEPTH}}
    path = tmp_path / "c.yaml"
    path.write_text(serialize({"requests": [request], "responses": [response]}, yamlserializer))
    (row,) = cassette_rows(path)
    assert (row.kind, row.url, row.method, row.status) == ("http", f"{BASE}/depth?symbol=A", "GET", 200)
    assert json.loads(row.data) == json.loads(DEPTH)


@pytest.mark.parametrize(
    "text", ["", "a: [", "interactions: 5", "interactions: [{request: 1}]", "!!python/object/apply:os.getcwd []"]
)
def test_what_is_no_cassette_is_a_tape_error(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(TapeError, match="no cassette"):
        read_cassette(path)


def test_a_tapes_exchanges_are_paired_by_number(tmp_path):
    path = tmp_path / "a.tape"
    with Recorder(path) as recorder:
        feed = recorder.feed(FeedHeader("pebble", "spot", 1))
        feed.on_command(Fetch(1, "one", HttpRequest("GET", "/one")))
        feed.on_command(Fetch(2, "two", HttpRequest("GET", "/two")))
        feed.on_command(Fetch(3, "three", HttpRequest("GET", "/three")))
        feed.tap(Response(10, 10, 2, HttpResponse(200, b"2")))
        feed.tap(Failed(11, 11, 3, "reset"))
        feed.tap(Tick(12, 12))
        feed.tap(Response(13, 13, 1, HttpResponse(500, b"1")))
    found = list(exchanges(Tape(path), {0: BASE}))
    assert [(item.request.path, item.response.body, item.ts) for item in found] == [
        ("/two", b"2", 10),
        ("/one", b"1", 13),
    ]
    assert write_cassette(tmp_path / "c.yaml", found) == 2
