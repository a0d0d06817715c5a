"""Signed requests, against vectors that were computed elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.weex.support import CONTRACT, HERE, SPOT
from unitape.errors import ConfigError
from unitape.spi import Credentials, HttpRequest, Instruments, TradingSettings
from unitape_weex.signing import sign_request

VECTORS = json.loads((HERE / "vectors.json").read_text())
REQUESTS = [vector for vector in VECTORS["vectors"] if vector["method"] is not None]
CREDENTIALS = Credentials(VECTORS["access_key"], VECTORS["secret"], VECTORS["passphrase"])
TS = int(VECTORS["timestamp"]) * 1_000_000


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("market", [SPOT, CONTRACT], ids=["spot", "contract"])
def test_a_signed_request_is_the_vector_and_what_it_signs_is_what_it_sends(vector: dict[str, Any], market: Any) -> None:
    trading = market.trading(Instruments(market.catalogue), TradingSettings())
    bare = HttpRequest(
        vector["method"], vector["path"], vector["query"], vector["body"].encode(), (("X", "y"),), auth="signed"
    )
    signed = trading.sign(bare, CREDENTIALS, TS + 999_999)
    assert dict(signed.headers) == {
        "X": "y",
        "ACCESS-KEY": VECTORS["access_key"],
        "ACCESS-SIGN": vector["access_sign"],
        "ACCESS-TIMESTAMP": VECTORS["timestamp"],
        "ACCESS-PASSPHRASE": VECTORS["passphrase"],
    }
    assert (signed.method, signed.path, signed.query, signed.body) == (bare.method, bare.path, bare.query, bare.body)
    stamp = dict(signed.headers)["ACCESS-TIMESTAMP"]
    assert f"{stamp}{signed.method}{signed.target}{signed.body.decode()}" == vector["prehash"]


def test_there_are_all_the_vectors() -> None:
    assert len(REQUESTS) == 12


def test_a_public_request_is_not_signed() -> None:
    bare = HttpRequest("GET", "/api/v3/time")
    assert sign_request(bare, CREDENTIALS, TS) is bare


def test_a_key_without_passphrase_signs_nothing_and_shows_nothing() -> None:
    with pytest.raises(ConfigError) as caught:
        sign_request(HttpRequest("GET", "/x", auth="signed"), Credentials("the-key", "the-secret"), TS)
    assert "the-key" not in str(caught.value)
    assert "the-secret" not in str(caught.value)


def test_a_signed_request_does_not_show_what_proves_it() -> None:
    signed = sign_request(HttpRequest("GET", "/x", auth="signed"), CREDENTIALS, TS)
    text = repr(signed) + str(signed)
    for hidden in (*CREDENTIALS.hidden(), dict(signed.headers)["ACCESS-SIGN"]):
        assert hidden not in text
