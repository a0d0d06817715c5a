"""Secrets never reach a tape."""

from __future__ import annotations

import pytest

from unitape.feed.inputs import Fetch, Frame, Response, Send
from unitape.spi import HttpRequest, HttpResponse
from unitape.tape.format import FeedHeader
from unitape.tape.record import Recorder
from unitape.tape.redact import Redactor
from unitape.tape.tape import Tape

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"

LEAKS = [
    Fetch(1, "order", HttpRequest("POST", "/order", f"symbol=A&timestamp=1&signature={KEY}")),
    Fetch(1, "order", HttpRequest("GET", "/x", f"apiKey={KEY}&limit=5")),
    Fetch(1, "stream", HttpRequest("PUT", "/userDataStream", f"listenKey={KEY}")),
    Fetch(1, "order", HttpRequest("POST", "/order", headers=(("X-MBX-APIKEY", KEY), ("accept", "*/*")))),
    Fetch(1, "order", HttpRequest("POST", "/order", headers=(("ACCESS-KEY", KEY), ("ACCESS-SIGN", KEY)))),
    Fetch(1, "order", HttpRequest("POST", "/order", headers=(("access-passphrase", KEY),))),
    Fetch(1, "order", HttpRequest("POST", "/order", body=f"a=1&signature={KEY}".encode())),
    Fetch(1, "order", HttpRequest("POST", "/order", headers=(("Authorization", f"Bearer {KEY}"), ("Cookie", KEY)))),
    Response(1, 1, 1, HttpResponse(200, f'{{"listenKey":"{KEY}"}}'.encode())),
    Response(1, 1, 1, HttpResponse(200, b"{}", (("set-cookie", f"session={KEY}"),))),
    Send(1, f'{{"method":"login","param":{{"apiKey":"{KEY}","signature" : "{KEY}","reqTime":1}}}}'.encode()),
    Frame(1, 1, 0, f'{{"e":"listenKeyExpired","listenKey":"{KEY}"}}'.encode()),
    Send(1, f'{{"secret_key":"{KEY}","passphrase":"{KEY}"}}'.encode()),
    Send(1, f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----".encode()),
]


@pytest.mark.parametrize("record", LEAKS, ids=lambda record: repr(record)[:60])
def test_a_secret_with_a_known_name_is_removed_and_the_rest_kept(record):
    clean = Redactor().record(record)
    assert KEY not in repr(clean)
    assert "REDACTED" in repr(clean)
    assert type(clean) is type(record)
    assert repr(Redactor().record(clean)) == repr(clean), "twice is once"


def test_what_stands_beside_a_secret_stays():
    request = Redactor().record(LEAKS[0]).request
    assert request.query == "symbol=A&timestamp=1&signature=REDACTED"
    assert dict(Redactor().record(LEAKS[3]).request.headers) == {"X-MBX-APIKEY": "REDACTED", "accept": "*/*"}


def test_a_given_secret_is_removed_wherever_it_stands():
    redactor = Redactor(["p@ss/word+1", "p@ss/word+1 and more"])
    records = [
        Frame(1, 1, 0, b'{"note":"p@ss/word+1 and more"}'),
        Fetch(1, "x", HttpRequest("GET", "/p%40ss%2Fword%2B1", "q=p%40ss%2Fword%2B1")),
        Fetch(1, "x", HttpRequest("GET", "/", headers=(("x-note", "p@ss/word+1"),))),
    ]
    for record in records:
        clean = redactor.record(record)
        assert "word" not in repr(clean)
        assert redactor.record(clean) == clean
    assert redactor.record(records[0]).data == b'{"note":"REDACTED"}'


def test_a_secret_in_a_binary_message_keeps_the_message_as_long_as_it_was():
    record = Frame(1, 1, 0, b"\x0a\x06secret\x10\x01", text=False)
    assert Redactor(["secret"]).record(record).data == b"\x0a\x06RRRRRR\x10\x01"


def test_a_pattern_of_yours_is_applied():
    record = Frame(1, 1, 0, b'{"uid":"U-12345","p":"1"}')
    assert Redactor(patterns=[r"U-\d+"]).record(record).data == b'{"uid":"REDACTED","p":"1"}'


@pytest.mark.parametrize(
    "data",
    [
        b'{"e":"trade","s":"KEYUSDT","p":"1.0","design":"x","assigned":"y"}',
        b'{"symbol":"TOKEN_USDT","token":"KEY","baseAsset":"PASS"}',
        b"\x00key\xff",
    ],
)
def test_market_data_that_looks_alike_is_left_alone(data):
    record = Frame(1, 1, 0, data)
    assert Redactor().record(record) is record


def test_a_recorder_redacts_unless_told_otherwise(tmp_path):
    for name, settings, expected in (("on", {}, False), ("off", {"redact": False}, True)):
        path = tmp_path / name
        with Recorder(path, **settings) as recorder:
            feed = recorder.feed(FeedHeader("pebble", "spot", 1))
            feed.on_command(LEAKS[0])
            feed.tap(LEAKS[8])
        tape = Tape(path)
        assert (KEY in repr(list(tape.records()))) is expected
        assert tape.header.redacted is not expected


@pytest.mark.parametrize("name", ["apiKey", "API_KEY", "aPiKeY", "api-key", "listenKey", "Signature", "X-Api-Secret"])
def test_names_are_known_in_any_spelling(name):
    record = Send(1, f'{{"{name}":"{KEY}"}}'.encode())
    assert KEY not in repr(Redactor().record(record))
    query = Fetch(1, "x", HttpRequest("GET", "/x", f"a=1&{name}={KEY}&b=2"))
    assert Redactor().record(query).request.query == f"a=1&{name}=REDACTED&b=2"
