"""The shipped trading sessions, played by vcrpy itself through aiohttp: no server runs and no connection is made.

Every expected number is worked out by hand from four facts: an account of 100000 USDT (and 2 BTC on spot), an order
that rests at 95000, one that takes 0.01 at the price in the table, and the fee rate in the table.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec
import pytest

from unitape.adapter import VenueAdapter
from unitape.errors import TransportError
from unitape.registry import load_venue
from unitape.sim import DEMO_USER
from unitape.spi import Credentials

vcr = pytest.importorskip("vcr", reason="needs the extra vcr")
yaml = pytest.importorskip("yaml", reason="needs the extra vcr")

FOLDER = Path(__file__).resolve().parents[2] / "cassettes"
D = Decimal


class Facts(NamedTuple):
    """What happened on one market: what the second order paid, its fee, and what was left of the 100000 USDT."""

    price: str
    fee: str
    fee_currency: str
    usdt: str
    liquidity: str | None = "taker"
    """None: the venue does not tell."""


FACTS = {
    # 0.1 % of the 0.01 BTC received; 100000 - 964.0671
    "binance/spot": Facts("96406.71", "0.00001", "BTC", "99035.9329"),
    # 0.05 % of 964.049; 100000 - 0.4820245
    "binance/usdm": Facts("96404.9", "0.4820245", "USDT", "99999.5179755"),
    # 0.05 % of the 0.01 BTC received; 100000 - 964.0526
    "mexc/spot": Facts("96405.26", "0.000005", "BTC", "99035.9474"),
    # 0.08 % of 964.058; 100000 - 0.7712464
    "mexc/futures": Facts("96405.8", "0.7712464", "USDT", "99999.2287536"),
    # 0.1 % of the 0.01 BTC received; 100000 - 964.0518
    "weex/spot": Facts("96405.18", "0.00001", "BTC", "99035.9482", None),
    # 0.08 % of 964.06; 100000 - 0.771248
    "weex/contract": Facts("96406", "0.771248", "USDT", "99999.228752"),
}
SECRET_NAMES = frozenset(("signature", "timestamp"))
SECRET_HEADERS = re.compile(r".*(key|sign|signature|passphrase|timestamp|request-time)", re.IGNORECASE)
LABELS = [f"{path.parts[-3]}/{path.parts[-2]}" for path in sorted(FOLDER.glob("*/*/trading.yaml"))]


class RecordedClock:
    """The time at which the sessions were recorded, going on from there: rate budgets wait for it."""

    def __init__(self) -> None:
        self._start = time.monotonic_ns()

    def wall(self) -> int:
        return 1_793_923_200_000_000_000 + self.mono()

    def mono(self) -> int:
        return time.monotonic_ns() - self._start


def cassette(label: str) -> Path:
    return FOLDER / label / "trading.yaml"


def interactions(label: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(cassette(label).read_text())["interactions"]
    return found


def plain(pairs: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parse_qsl(pairs, keep_blank_values=True) if name not in SECRET_NAMES]


def same_query(one: Any, other: Any) -> None:
    first, second = plain(urlsplit(one.uri).query), plain(urlsplit(other.uri).query)
    assert first == second, f"{first} != {second}"


def said(body: bytes | str | None) -> Any:
    text = body.decode() if isinstance(body, bytes) else body or ""
    return msgspec.json.decode(text) if text.startswith(("{", "[")) else plain(text)


def same_body(one: Any, other: Any) -> None:
    assert said(one.body) == said(other.body), f"{said(one.body)} != {said(other.body)}"


def player(label: str) -> Any:
    """What plays a cassette: each answer once, in order, and nothing that is not in it."""
    machine = vcr.VCR(record_mode="none")
    machine.register_matcher("plain_query", same_query)
    machine.register_matcher("plain_body", same_body)
    return machine.use_cassette(str(cassette(label)), match_on=("method", "path", "plain_query", "plain_body"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", refuse)


def trader(label: str) -> VenueAdapter:
    venue, _, market = label.partition("/")
    declared = load_venue(venue)
    return VenueAdapter(
        declared,
        endpoints={market: declared.market(market).endpoints["live"].at("http://nowhere.invalid", "ws://nowhere")},
        credentials=Credentials("another-key", "another-secret", "another-passphrase"),
        clock=RecordedClock(),
        proxy=None,
    )


def test_there_is_a_cassette_for_every_market_of_the_table_and_none_beside() -> None:
    assert sorted(FACTS) == LABELS


@pytest.mark.anyio
@pytest.mark.parametrize("label", LABELS)
async def test_a_played_session_tells_what_happened_in_it(label: str) -> None:
    facts, market = FACTS[label], label.partition("/")[2]
    linear = load_venue(label.partition("/")[0]).market(market).owns("BTC/USDT:USDT")
    symbol = "BTC/USDT:USDT" if linear else "BTC/USDT"
    with player(label) as tape:
        async with trader(label) as adapter:
            modes = adapter.capabilities(market).position_modes
            long: Any = {"position_side": "long"} if modes == ("hedge",) else {}

            (flags,) = (await adapter.account_flags(market)).values()
            assert flags.can_withdraw is (None if label == "mexc/futures" else False)
            before = {one.currency: one for one in await adapter.balances(market)}
            assert before["USDT"].total == D(100_000)
            assert (set(before) == {"USDT"}) if linear else (before["BTC"].free == D(2))

            placed = await adapter.place(symbol, "buy", size="0.01", price="95000", client_id="cassette-1", **long)
            assert (placed.client_id, placed.price, placed.size) == ("cassette-1", D(95_000), D("0.01"))
            resting = await adapter.order(symbol, client_id="cassette-1")
            assert (resting.id, resting.status, resting.side, resting.kind) == (placed.id, "open", "buy", "limit")
            assert (resting.filled, resting.size, resting.price) == (D(0), D("0.01"), D(95_000))
            (listed,) = await adapter.open_orders(symbol)
            assert (listed.id, listed.client_id, listed.status) == (placed.id, "cassette-1", "open")
            held = next(one for one in await adapter.balances(market) if one.currency == "USDT")
            # All of the 950 on spot; a twentieth of it as margin at leverage 20.
            free = D("99952.5") if linear else D(99_050)
            assert (held.total, held.available_margin if linear else held.free) == (D(100_000), free)
            assert held.locked in ((None, D("47.5")) if linear else (D(950),))

            await adapter.cancel(symbol, id=placed.id)
            assert await adapter.open_orders(symbol) == []

            taken = await adapter.place(symbol, "buy", "market", size="0.01", client_id="cassette-2", **long)
            order = await adapter.order(symbol, id=taken.id)
            assert (order.status, order.filled, order.kind) == ("filled", D("0.01"), "market")
            assert order.average == D(facts.price)
            (fill,) = await adapter.fills(symbol)
            assert (fill.order_id, fill.side, fill.price, fill.size) == (taken.id, "buy", D(facts.price), D("0.01"))
            assert (fill.fee, fill.fee_currency) == (D(facts.fee), facts.fee_currency)
            assert fill.liquidity == facts.liquidity
            after = {one.currency: one.total for one in await adapter.balances(market)}
            assert after["USDT"] == D(facts.usdt)
            if linear:
                (position,) = await adapter.positions(symbol)
                assert (position.side, position.size) == ("long", D("0.01"))
                assert position.entry == D(facts.price)
            else:
                assert after["BTC"] == D("2.01") - (D(facts.fee) if facts.fee_currency == "BTC" else 0)
        assert tape.all_played


@pytest.mark.anyio
async def test_what_is_not_in_the_cassette_is_not_answered() -> None:
    with player("binance/spot"):
        async with trader("binance/spot") as adapter:
            await adapter.balances("spot")
            with pytest.raises(TransportError, match="CannotOverwriteExistingCassette"):
                await adapter.order("BTC/USDT", client_id="cassette-9")


@pytest.mark.parametrize("label", LABELS)
def test_no_cassette_holds_a_key_a_secret_a_signature_or_the_time_of_a_signed_request(label: str) -> None:
    text = cassette(label).read_text()
    for hidden in (DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase):
        assert hidden not in text
    found: Counter[str] = Counter()
    for item in interactions(label):
        request = item["request"]
        pairs = parse_qsl(urlsplit(request["uri"]).query) + parse_qsl(request["body"] or "")
        headers = [(name, value) for name, values in request["headers"].items() for value in values]
        for name, value in (*pairs, *headers):
            if name in SECRET_NAMES or SECRET_HEADERS.fullmatch(name):
                assert value == "REDACTED", name
                found[name.lower()] += 1
            # Hex of HMAC-SHA256 has 64 digits, its base64 44 characters: whatever carries one, by any name.
            assert not re.search(r"[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}(=|%3D)", value), name
    signed = len(interactions(label)) - 2
    assert signed >= 12
    for kind in ("key", "sign", "time"):
        assert max(count for name, count in found.items() if kind in name) == signed, kind
