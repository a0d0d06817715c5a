"""Orders over the WebSocket API of the simulated venue, under virtual time: the same verbs, the same outcomes."""

from __future__ import annotations

import json
import logging
import traceback
from decimal import Decimal

import anyio
import pytest
from trio.testing import MockClock

from tests.binance.desk import PRIVATE, PUBLIC
from unitape.errors import AuthenticationFailed, InsufficientFunds, OutcomeUnknown
from unitape.sim import DEMO_USER, Fault, FaultSchedule, SimNetwork, SimSettings
from unitape.spi import Credentials, TradingSettings
from unitape.spi.simulated_accounts import SimUser
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_binance import VENUE
from unitape_binance.adapter import Binance

D = Decimal
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"
KEYS = Credentials(DEMO_USER.key, DEMO_USER.secret)
MONEY = {"USDT": "100000", "BTC": "5"}
SIGNER = SimUser("signer", "signer-key-1234", PUBLIC, balances=MONEY)
SYMBOLS = pytest.mark.parametrize("symbol", [SPOT, LINEAR])
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def market_of(symbol):
    return "usdm" if symbol == LINEAR else "spot"


class Traffic:
    """What left, by way and request, and every frame, both ways."""

    def __init__(self, net):
        self.http, self.sent = [], []
        receive, http = net.receive, net.http

        def received(peer, data, text):
            self.sent.append(data)
            receive(peer, data, text)

        async def requested(base, request):
            self.http.append(f"{request.method} {request.path}")
            return await http(base, request)

        net.receive, net.http = received, requested

    def methods(self):
        return [json.loads(frame)["method"] for frame in self.sent]

    def private(self):
        return [line for line in self.http if not line.endswith(("/time", "/exchangeInfo"))]


def trader(net, keys=KEYS, *, within=30.0, **settings):
    endpoints = {market.name: net.endpoint(VENUE.name, market.name) for market in VENUE.markets}
    options = TradingOptions(order_transport="websocket", resolve_within=within)
    return Binance(
        endpoints=endpoints,
        transport=net.transport,
        clock=net.clock,
        seed=1,
        credentials=keys,
        trading=options,
        **settings,
    )


def network(**settings):
    return SimNetwork([VENUE], SimSettings(seed=5, symbols=2, **settings))


def quiet(net, symbol):
    exchange = net.host(VENUE.name, market_of(symbol)).exchange
    exchange.pause_agents()
    return exchange


@SYMBOLS
async def test_a_session_goes_over_the_socket_and_says_what_http_says(symbol):
    async with network() as net, trader(net) as binance:
        exchange, traffic = quiet(net, symbol), Traffic(net)
        low = exchange.best(symbol).bid * 98 // 100 * exchange.instrument(symbol).tick
        resting = await binance.place(symbol, "buy", size="0.02", price=low, tif="post_only")
        assert (resting.status, resting.price, resting.tif) == ("open", low, "post_only")
        side = {"side": "buy", "price": low} if symbol == LINEAR else {}
        amended = await binance.amend(symbol, id=resting.id, client_id=resting.client_id, size="0.01", **side)
        assert (amended.size, amended.client_id) == (D("0.01"), resting.client_id)
        bought = await binance.place(symbol, "buy", "market", size="0.05")
        assert (bought.status, bought.filled) == ("filled", D("0.05"))
        stop = await binance.place(symbol, "sell", "stop", size="0.01", trigger=low)
        conditional = {"conditional": True} if symbol == LINEAR else {}
        await binance.cancel(symbol, id=stop.id, **conditional)
        canceled = await binance.cancel(symbol, id=resting.id)
        assert canceled.status == "canceled"
        found = await binance.order(symbol, id=bought.id)
        balances = await binance.balances(market_of(symbol))
        assert traffic.private() == []
        assert {"order.place", "order.cancel", "order.status"} <= set(traffic.methods())
    async with network() as net:
        endpoints = {market.name: net.endpoint(VENUE.name, market.name) for market in VENUE.markets}
        async with Binance(
            endpoints=endpoints, transport=net.transport, clock=net.clock, seed=1, credentials=KEYS
        ) as binance:
            quiet(net, symbol)
            again = await binance.place(symbol, "buy", "market", size="0.05")
            by_http = await binance.order(symbol, id=again.id)
            told = await binance.balances(market_of(symbol))
    assert (found.filled, found.average, found.status) == (by_http.filled, by_http.average, by_http.status)
    assert [(b.currency, b.total) for b in balances] == [(b.currency, b.total) for b in told]


@SYMBOLS
async def test_an_ed25519_key_logs_on_once_and_signs_no_more(symbol):
    keys = Credentials(SIGNER.key, PRIVATE)
    async with network(accounts=(SIGNER,)) as net, trader(net, keys) as binance:
        quiet(net, symbol)
        traffic = Traffic(net)
        for _ in range(3):
            await binance.place(symbol, "buy", "market", size="0.01")
        methods = traffic.methods()
        assert methods.count("session.logon") == 1
        orders = [json.loads(frame)["params"] for frame in traffic.sent if b"order.place" in frame]
        assert len(orders) == 3
        for parameters in orders:
            assert "timestamp" in parameters
            assert not {"signature", "apiKey"} & parameters.keys()


async def test_other_keys_sign_every_request():
    async with network() as net, trader(net) as binance:
        quiet(net, SPOT)
        traffic = Traffic(net)
        await binance.place(SPOT, "buy", "market", size="0.01")
        (order,) = [json.loads(frame) for frame in traffic.sent]
        assert order["method"] == "order.place"
        assert order["params"]["apiKey"] == KEYS.key
        assert order["params"]["signature"]


async def test_what_the_socket_does_not_take_goes_over_http():
    async with network() as net, trader(net) as binance:
        exchange, traffic = quiet(net, LINEAR), Traffic(net)
        low = exchange.best(LINEAR).bid * 98 // 100 * exchange.instrument(LINEAR).tick
        orders = [OrderRequest(symbol=LINEAR, side="buy", size="0.01", price=low) for _ in range(2)]
        await binance.place_many(orders)
        await binance.open_orders(LINEAR)
        assert "POST /fapi/v1/batchOrders" in traffic.http
        assert "GET /fapi/v1/openOrders" in traffic.http
        assert traffic.sent == []


@SYMBOLS
async def test_refusals_are_the_typed_ones(symbol):
    async with network() as net, trader(net) as binance:
        quiet(net, symbol)
        with pytest.raises(InsufficientFunds):
            await binance.place(symbol, "buy", "market", size="80" if symbol == SPOT else "900")
    wrong = Credentials(DEMO_USER.key, "not-the-secret-of-anybody")
    async with network() as net, trader(net, wrong) as binance:
        with pytest.raises(AuthenticationFailed) as caught:
            await binance.place(symbol, "buy", "market", size="0.01")
        assert caught.value.code == "-1022"


@SYMBOLS
async def test_many_orders_at_once_get_each_its_own_answer(symbol):
    async with network() as net, trader(net) as binance:
        exchange = quiet(net, symbol)
        low = exchange.best(symbol).bid * 98 // 100
        tick = exchange.instrument(symbol).tick
        found = {}

        async def place(number):
            found[number] = await binance.place(symbol, "buy", size="0.01", price=(low - number) * tick)

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(place, number)
        assert {number: order.price for number, order in found.items()} == {
            number: (low - number) * tick for number in range(12)
        }


@SYMBOLS
async def test_an_order_whose_connection_breaks_behind_it_is_found_and_not_sent_again(symbol):
    cut = FaultSchedule((Fault("close", at=0.0, match="post /"),))
    async with network(faults={"*": cut}) as net, trader(net) as binance:
        exchange = quiet(net, symbol)
        placed = await binance.place(symbol, "buy", "market", size="0.01")
        assert (placed.status, placed.filled) == ("filled", D("0.01"))
        assert len(exchange.accounts.orders(DEMO_USER.name)) == 1


@SYMBOLS
async def test_without_resolving_it_is_an_unknown_outcome_that_names_the_client_id(symbol):
    cut = FaultSchedule((Fault("close", at=0.0, match="post /"),))
    async with network(faults={"*": cut}) as net, trader(net, within=0.0) as binance:
        exchange = quiet(net, symbol)
        with pytest.raises(OutcomeUnknown) as caught:
            await binance.place(symbol, "buy", "market", size="0.01")
        (order,) = exchange.accounts.orders(DEMO_USER.name)
        assert caught.value.client_id == order.client_id
        # The next one goes over a new connection, or over HTTP until there is one.
        assert (await binance.place(symbol, "sell", "market", size="0.01")).status == "filled"
        await anyio.sleep(5)
        traffic = Traffic(net)
        await binance.place(symbol, "buy", "market", size="0.01")
        assert traffic.private() == []


@SYMBOLS
async def test_an_answer_that_never_comes_is_a_lost_one(symbol):
    silent = FaultSchedule((Fault("half_open", at=0.0, match="post /"),))
    async with network(faults={"*": silent}) as net, trader(net) as binance:
        exchange = quiet(net, symbol)
        placed = await binance.place(symbol, "buy", "market", size="0.01")
        assert placed.status == "filled"
        assert len(exchange.accounts.orders(DEMO_USER.name)) == 1


async def test_orders_count_against_the_budgets_that_http_fills():
    async with network() as net, trader(net) as binance:
        exchange = quiet(net, SPOT)
        low = exchange.best(SPOT).bid * 98 // 100 * exchange.instrument(SPOT).tick
        client = await binance.trading_client(VENUE.market("spot"))
        for _ in range(5):
            placed = await binance.place(SPOT, "buy", size="0.01", price=low)
            await binance.cancel(SPOT, id=placed.id)
        # The venue counts whatever else used the address, too, and its number wins.
        told = net.host(VENUE.name, "spot").face._quota.used
        assert client._rest.budget.used()["weight"] >= told > 0
        assert client._account.used()["orders"] == 5


async def test_nothing_shows_key_secret_or_signature(caplog):
    cut = FaultSchedule((Fault("close", at=0.0, match="post /", count=1),))
    caplog.set_level(logging.DEBUG)
    async with network(faults={"*": cut}) as net, trader(net, within=0.0) as binance:
        quiet(net, SPOT)
        traffic = Traffic(net)
        shown = []
        for size in ("0.01", "80"):
            try:
                await binance.place(SPOT, "buy", "market", size=size)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not show anything
                shown.append("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        client = await binance.trading_client(VENUE.market("spot"))
        shown += [repr(client), repr(client._socket), caplog.text]
        signatures = [json.loads(frame)["params"]["signature"] for frame in traffic.sent]
        assert signatures
        for secret in (KEYS.key, KEYS.secret, *signatures):
            for text in shown:
                assert secret not in text


async def test_settings_may_change_while_it_is_connected():
    async with network() as net, trader(net) as binance:
        quiet(net, SPOT)
        client = await binance.trading_client(VENUE.market("spot"))
        await binance.place(SPOT, "buy", "market", size="0.01")
        client.configure(TradingSettings(recv_window=2.5))
        traffic = Traffic(net)
        await binance.place(SPOT, "buy", "market", size="0.01")
        assert json.loads(traffic.sent[0])["params"]["recvWindow"] == 2500
