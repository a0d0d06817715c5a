"""Signatures against the venue's published samples and others computed apart from this code."""

from __future__ import annotations

import sys
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from unitape.errors import ConfigError
from unitape.spi import Credentials, HttpRequest, Instruments, TradingSettings
from unitape_binance import SPOT, USDM
from unitape_binance.signing import sign, sign_parameters, sign_text

K_SPOT = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
S_SPOT = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
K_FUT = "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83"
S_FUT = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
SPOT_KEYS = Credentials(K_SPOT, S_SPOT)
FUTURES_KEYS = Credentials(K_FUT, S_FUT)

VECTOR_1 = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
BATCH = (
    "batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22BUY%22%2C%22type%22%3A%22LIMIT%22%2C"
    "%22timeInForce%22%3A%22GTC%22%2C%22quantity%22%3A%220.001%22%2C%22price%22%3A%2210001%22%7D%5D"
)
TEXTS = [
    (SPOT_KEYS, VECTOR_1, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    (
        SPOT_KEYS,
        VECTOR_1.replace("LTCBTC", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"),
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    (
        SPOT_KEYS,
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
    ),
    (
        FUTURES_KEYS,
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
            "&recvWindow=5000&timestamp=1591702613943"
        ),
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
    (
        FUTURES_KEYS,
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
            "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
        ),
        "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4",
    ),
    (
        FUTURES_KEYS,
        f"{BATCH}&recvWindow=5000&timestamp=1591702613943",
        "026715bfdd0be4619ac076d3be028600cb2fe0f15abc506f2443e2360edd0b7a",
    ),
]
PARAMETERS = [
    (
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000000",
            "price": "52000.00",
            "recvWindow": 100,
            "timestamp": 1645423376532,
            "apiKey": K_SPOT,
        },
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    ),
    (
        {
            "symbol": "１２３４５６",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1.00000000",
            "price": "0.10000000",
            "recvWindow": 5000,
            "timestamp": 1645423376532,
            "apiKey": K_SPOT,
        },
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
    ),
    (
        {"apiKey": K_SPOT, "timestamp": 1747385641636},
        "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e",
    ),
]

# The first private key of RFC 8032, section 7.1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PEM = (
    Ed25519PrivateKey.from_private_bytes(SEED).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)
ED_SIGNATURE = "3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ+TQMarm+LErFiJvUiVPQjTzDoWZQe4miPX+yHk1v/Z7TWLYjIbmCA=="
ED_ENCODED = "3fhuDZ9nYMviDQ5OEtJBJS11jUZDTRzRQ%2BTQMarm%2BLErFiJvUiVPQjTzDoWZQe4miPX%2ByHk1v%2FZ7TWLYjIbmCA%3D%3D"
ED_LOGON = "A7pzSIpXcoDaqSQtTE3VoAC4ZPjKNqktorOhIKIeEslb5EmDHZQnWzZE75tmjqi+Uy/YwYcRuA5dVDKrgUjYCw=="


@pytest.mark.parametrize(("keys", "text", "expected"), TEXTS)
def test_texts(keys, text, expected):
    assert sign_text(text, keys) == expected


@pytest.mark.parametrize(("parameters", "expected"), PARAMETERS)
def test_parameters_of_the_websocket_api_are_sorted_and_not_encoded(parameters, expected):
    assert sign_parameters(parameters, SPOT_KEYS) == expected
    assert sign_parameters(parameters | {"signature": "stale"}, SPOT_KEYS) == expected


def test_booleans_are_signed_as_json_prints_them():
    keys = Credentials("k", "s")
    assert sign_parameters({"omitZeroBalances": True, "a": 1}, keys) == sign_text("a=1&omitZeroBalances=true", keys)


def test_ed25519():
    keys = Credentials("TESTKEY", PEM)
    assert sign_text(VECTOR_1, keys) == ED_SIGNATURE
    assert sign_parameters({"timestamp": 1649729878532, "apiKey": "TESTKEY"}, keys) == ED_LOGON


def unsigned(text):
    query = text.split("&recvWindow")[0]
    return HttpRequest("POST", "/api/v3/order", query, auth="signed", write=True)


@pytest.mark.parametrize("row", [0, 1])
def test_a_spot_request_is_sent_as_it_was_signed(row):
    keys, text, expected = TEXTS[row]
    trading = SPOT.trading(Instruments(SPOT.catalogue), TradingSettings(recv_window=5.0))
    signed = trading.sign(unsigned(text), keys, 1_499_827_319_559_999_999)
    assert signed.target == f"/api/v3/order?{text}&signature={expected}"
    assert signed.headers == (("X-MBX-APIKEY", K_SPOT),)
    assert signed.body == b""
    assert signed.write


@pytest.mark.parametrize("row", [3, 5])
def test_a_futures_request_is_sent_as_it_was_signed(row):
    keys, text, expected = TEXTS[row]
    trading = USDM.trading(Instruments(USDM.catalogue), TradingSettings(recv_window=5.0))
    signed = trading.sign(unsigned(text), keys, 1_591_702_613_943_000_000)
    assert signed.query == f"{text}&signature={expected}"


def test_an_ed25519_signature_is_encoded_for_the_url():
    signed = sign(unsigned(VECTOR_1), Credentials("k", PEM), 1_499_827_319_559_000_000, 5.0)
    assert signed.query == f"{VECTOR_1}&signature={ED_ENCODED}"
    assert quote(ED_SIGNATURE, safe="") == ED_ENCODED


@pytest.mark.parametrize(("row", "moment"), [(2, 1_499_827_319_559), (4, 1_591_702_613_943)])
def test_a_form_in_the_body_is_signed_behind_the_query(row, moment):
    keys, text, expected = TEXTS[row]
    query, form = text.split("GTC")[0] + "GTC", text.split("GTC")[1]
    body = form.split("&recvWindow")[0].encode()
    market = "spot" if keys is SPOT_KEYS else "usdm"
    signed = sign(HttpRequest("POST", "/x", query, body, auth="signed"), keys, moment * 1_000_000, 5.0, market)
    assert signed.query == query
    assert signed.body == f"{form}&signature={expected}".encode()


def test_a_request_without_parameters_is_signed_over_its_time_alone():
    signed = sign(HttpRequest("GET", "/api/v3/account", auth="signed"), SPOT_KEYS, 7_000_000, 5.0)
    assert signed.query.startswith("recvWindow=5000&timestamp=7&signature=")


def test_other_requests_get_the_key_or_nothing():
    public = HttpRequest("GET", "/api/v3/time")
    assert sign(public, SPOT_KEYS, 1, 5.0) is public
    keyed = sign(HttpRequest("POST", "/fapi/v1/listenKey", auth="key"), FUTURES_KEYS, 1, 5.0)
    assert (keyed.query, keyed.headers) == ("", (("X-MBX-APIKEY", K_FUT),))


@pytest.mark.parametrize(
    ("seconds", "spot", "usdm"),
    [(5.0, "5000", "5000"), (5.000123, "5000.123", "5000"), (0.1, "100", "100"), (60.0, "60000", "60000")],
)
def test_receive_windows(seconds, spot, usdm):
    request = HttpRequest("GET", "/x", auth="signed")
    for market, expected in (("spot", spot), ("usdm", usdm)):
        assert f"recvWindow={expected}&" in sign(request, SPOT_KEYS, 1, seconds, market).query


@pytest.mark.parametrize("seconds", [0.0, -1.0, 60.001])
def test_windows_that_the_venue_refuses_are_refused_at_once(seconds):
    for market in (SPOT, USDM):
        with pytest.raises(ConfigError, match="receive window"):
            market.trading(Instruments(market.catalogue), TradingSettings(recv_window=seconds))


def test_keys_that_cannot_sign_say_so_and_stay_hidden():
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ConfigError, match="not an Ed25519 key") as wrong:
        sign_text("x", Credentials("k", other))
    broken = PEM.replace("MC4C", "MC4X")
    assert broken != PEM
    with pytest.raises(ConfigError, match="cannot be read") as unread:
        sign_text("x", Credentials("k", broken))
    for caught, secret in ((wrong, other), (unread, broken)):
        assert not any(line in str(caught.value) for line in secret.splitlines()[1:-1])
        assert caught.value.__cause__ is None


def test_without_the_extra_a_private_key_names_what_to_install(monkeypatch):
    for name in ("ed25519",):
        monkeypatch.setitem(sys.modules, f"cryptography.hazmat.primitives.asymmetric.{name}", None)
    with pytest.raises(ConfigError, match=r"unitape\[ed25519\]"):
        sign_text("x", Credentials("k", PEM))
