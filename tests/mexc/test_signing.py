"""Signatures: the vectors of the venue's pages and their sheet, and requests that are sent exactly as signed."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from tests.mexc.support import FUTURES, SPOT
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import ConfigError
from unitape.spi import Credentials, HttpRequest, OrderRef, TradingSettings
from unitape_mexc import FUTURES as FUTURES_MARKET
from unitape_mexc import SPOT as SPOT_MARKET
from unitape_mexc.signing import futures_signature, sign_futures, sign_spot, spot_signature

PUBLISHED = "45d0b3c26f2644f19bfb98b07741b2f5"
KEY, SECRET = "mx0vglTESTKEY0000001", "0123456789abcdef0123456789abcdef"
MILLIS = 1_793_000_000_000
TIME = MILLIS * 1_000_000
US = Credentials(KEY, SECRET)
LIMIT = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.001&price=60000&newClientOrderId=cid-1"
BATCH = (
    "batchOrders=%5B%7B%22type%22%3A%22LIMIT%22%2C%22price%22%3A%2260000%22%2C%22quantity%22%3A%220.001%22%2C"
    "%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22BUY%22%7D%5D&timestamp=1793000000000"
)
ORDER = (
    '{"symbol":"BTC_USDT","price":60000.5,"vol":10,"leverage":20,"side":1,"type":1,"openType":1,"externalOid":"cid-1"}'
)

SPOT_VECTORS = [
    (
        PUBLISHED,
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "",
        "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a",
    ),
    (
        PUBLISHED,
        "symbol=BTCUSDT&side=BUY&type=LIMIT",
        "quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "d1a676610ceb39174c8039b3f548357994b2a34139a8addd33baadba65684592",
    ),
    (
        SECRET,
        f"{LIMIT}&recvWindow=5000&timestamp={MILLIS}",
        "",
        "65a78b59d69ef1d43a1e55a6ee94be8eb635d1ac70b0b9a474d1c5ad6c60feb2",
    ),
    (
        SECRET,
        f"recvWindow=5000&timestamp={MILLIS}",
        "",
        "03e4aa8f0636a7347a1eea68df1c2dbc8dc69d0310243b04785b5e1aa32b4e37",
    ),
    (
        SECRET,
        f"symbol=BTCUSDT%2CETHUSDT&recvWindow=5000&timestamp={MILLIS}",
        "",
        "1361d363d269e43d030b2815a3b7e00c735d711e4f7cc575829505f5ff029698",
    ),
    (SECRET, BATCH, "", "4a45e40058223e1c6d5847b311b4727606150cab4c225bb92ccf52edbdfeef5d"),
]
FUTURES_VECTORS = [
    ("GET", "", "812a792ca335ea428319ae6092f8339df896e1b05fae7cc234b2b53532052567"),
    (
        "GET",
        "page_num=1&page_size=20&symbol=BTC_USDT",
        "04e128a90e96645afb121516f67ae25c3b192389d500b4a6caa7ded316e21250",
    ),
    (
        "GET",
        "page_num=1&page_size=20&states=2%2C3&symbol=BTC_USDT",
        "a45e9fa6b22fcc0e20f2065ebbb339ec61f884e33a818cba5043de0d7cf5cd29",
    ),
    (
        "GET",
        "page_num=1&page_size=20&states=2,3&symbol=BTC_USDT",
        "e4894e9e53c6b4b61f68c9b5354d5a84512d7d3f3c8f848b3158d4b39c4c82a3",
    ),
    ("POST", ORDER, "f9950194f1bc330fc7daea5eff736bd1f342879b0577d2b9e10498e227146fc2"),
    (
        "POST",
        "[814218083416790528,814218083416790529]",
        "b2c7fe052b2db5ae924c2ef0d80d97d3b9f81225018272e24c53da5d8455fcb6",
    ),
    ("POST", '{"symbol":"BTC_USDT"}', "38a95eec468a704d9364f93ea5527a6cdfc663a96461558a712a1f50eacc6854"),
    ("POST", "{}", "1ceefb3ddf6e7f1a09f4719389d63b9f61710435ddbccf2bc6bc63fc770b4256"),
]


@pytest.mark.parametrize(("secret", "query", "body", "signature"), SPOT_VECTORS)
def test_spot_vectors(secret, query, body, signature):
    assert spot_signature(secret, query, body) == signature


@pytest.mark.parametrize(("method", "signed", "signature"), FUTURES_VECTORS)
def test_futures_vectors_as_whole_requests(method, signed, signature):
    get = method == "GET"
    request = HttpRequest(
        method, "/api/v1/private/x", signed if get else "", b"" if get else signed.encode(), auth="signed"
    )
    sent = sign_futures(request, US, TIME)
    assert dict(sent.headers) == {
        "ApiKey": KEY,
        "Request-Time": str(MILLIS),
        "Signature": signature,
        "Content-Type": "application/json",
    }
    assert (sent.query, sent.body) == (request.query, request.body)


def test_other_spaces_are_another_signature():
    spaced = json.dumps(json.loads(ORDER))
    found = futures_signature(SECRET, KEY, str(MILLIS), spaced)
    assert found == "63b4a763adfd191ceae3eb14a99035558550d19bfbbd177680eb0bfe1e916a8f"


def test_the_example_of_the_pages_that_is_wrong_stays_wrong():
    _, query, _, right = SPOT_VECTORS[0]
    wrong = "323c96ab85a745712e95e63cad28903dd8292e4a905e99c4ee3932023843a117"
    assert spot_signature(PUBLISHED, query) == right != wrong


@needs_recordings
def test_every_vector_of_the_file_is_among_these():
    vectors = json.loads((RECORDINGS.parent / "venues" / "mexc" / "test_vectors.json").read_text())["signing"]
    here = {row[-1] for row in (*SPOT_VECTORS, *FUTURES_VECTORS)}
    assert len(vectors) >= 15
    assert {vector["signature"] for vector in vectors} <= here


def test_a_spot_order_as_it_is_sent():
    sent = sign_spot(HttpRequest("POST", "/api/v3/order", LIMIT, auth="signed", write=True), US, TIME + 999_999, 5.0)
    signature = "65a78b59d69ef1d43a1e55a6ee94be8eb635d1ac70b0b9a474d1c5ad6c60feb2"
    assert sent.query == f"{LIMIT}&recvWindow=5000&timestamp={MILLIS}&signature={signature}"
    assert sent.headers == (("X-MEXC-APIKEY", KEY), ("Content-Type", "application/json"))
    account = sign_spot(HttpRequest("GET", "/api/v3/account", auth="signed"), US, TIME, 5.0)
    assert account.query.endswith("&signature=03e4aa8f0636a7347a1eea68df1c2dbc8dc69d0310243b04785b5e1aa32b4e37")
    assert account.headers == (("X-MEXC-APIKEY", KEY),)


def test_a_spot_body_is_signed_right_behind_the_query():
    credentials = Credentials(KEY, PUBLISHED)
    request = HttpRequest("POST", "/api/v3/order", "symbol=BTCUSDT", b"side=BUY", auth="signed")
    sent = sign_spot(request, credentials, TIME, 5.0)
    signed = f"symbol=BTCUSDT&recvWindow=5000&timestamp={MILLIS}side=BUY"
    assert sent.query.endswith(hmac.new(PUBLISHED.encode(), signed.encode(), hashlib.sha256).hexdigest())
    assert sent.body == b"side=BUY"


def test_requests_that_need_less_get_less():
    public = HttpRequest("GET", "/api/v3/time")
    assert sign_spot(public, US, TIME, 5.0) is public
    assert sign_futures(public, US, TIME) is public
    stream = sign_spot(HttpRequest("POST", "/api/v3/userDataStream", auth="key"), US, TIME, 5.0)
    assert stream.query == ""
    assert ("X-MEXC-APIKEY", KEY) in stream.headers


def test_both_markets_sign_what_they_build():
    """An oracle that knows the rule alone: what is signed is what stands in the request."""
    spot = SPOT_MARKET.trading(SPOT, TradingSettings(recv_window=2.5))
    sent = spot.sign(spot.cancel(OrderRef("BTC/USDT", client_id="a(b,c")).request, US, TIME)
    signed, _, signature = sent.query.rpartition("&signature=")
    assert signed == f"symbol=BTCUSDT&origClientOrderId=a%28b%2Cc&recvWindow=2500&timestamp={MILLIS}"
    assert signature == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    futures = FUTURES_MARKET.trading(FUTURES, TradingSettings())
    for query in (futures.order_history("BTC/USDT:USDT"), futures.cancel(OrderRef("BTC/USDT:USDT", "8142"))):
        sent = futures.sign(query.request, US, TIME)
        text = f"{KEY}{MILLIS}{sent.query}{sent.body.decode()}"
        found = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        assert dict(sent.headers)["Signature"] == found
        names = [part.partition("=")[0] for part in sent.query.split("&") if part]
        assert names == sorted(names)


@pytest.mark.parametrize(("form", "header"), [("omit", None), ("milliseconds", "2500"), ("seconds", "2")])
def test_the_window_of_futures_is_a_setting(form, header):
    futures = FUTURES_MARKET.trading(FUTURES, TradingSettings(recv_window=2.5, options={"window_header": form}))
    assert dict(futures.sign(futures.balances().request, US, TIME).headers).get("Recv-Window") == header


@pytest.mark.parametrize("seconds", [0, -1, 60.001, 0.0001])
def test_a_window_that_the_venue_does_not_take(seconds):
    for market, instruments in ((SPOT_MARKET, SPOT), (FUTURES_MARKET, FUTURES)):
        with pytest.raises(ConfigError, match="receive window"):
            market.trading(instruments, TradingSettings(recv_window=seconds))


def test_nothing_shows_the_secret():
    sent = sign_spot(HttpRequest("POST", "/api/v3/order", LIMIT, auth="signed"), US, TIME, 5.0)
    assert SECRET not in repr(sent)
    assert "signature" not in repr(sent)
    assert KEY not in repr(sent)
