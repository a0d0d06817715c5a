"""Other people's Binance clients, pointed at the simulator by its addresses alone.

They are not among our dependencies: ``pip install ccxt python-binance`` beside the test group, then ``pytest -m peer``.
"""

from __future__ import annotations

import asyncio

import pytest

from unitape.sim import SimServer, SimSettings
from unitape_binance import VENUE

pytestmark = [
    pytest.mark.peer,
    pytest.mark.asyncio,
    # What these libraries warn about at import and on exit is not ours to mend.
    pytest.mark.filterwarnings("default"),
]

SETTINGS = SimSettings(seed=3, rate=60.0)


def check_trade(exchange, symbol, number, price, size, taker):
    """A trade that a client saw is the one that the matching engine made."""
    made = next(trade for trade in exchange.trades(symbol, 5_000) if trade.id == number)
    spec = exchange.instrument(symbol)
    assert (float(spec.price_text(made.price)), float(spec.size_text(made.size)), made.taker) == (price, size, taker)


def check_book(exchange, symbol, factor, seq, bids, asks):
    """A book that a client holds is the exchange's own of that update."""
    spec = exchange.instrument(symbol)
    for step in range(600):
        image = exchange.book(symbol, lag=step * 0.005)
        if image.seq * factor <= seq:
            break
    assert image.seq * factor == seq
    for ours, theirs in ((image.bids, bids), (image.asks, asks)):
        assert [(float(spec.price_text(p)), float(spec.size_text(s))) for p, s in ours[:5]] == [
            (float(level[0]), float(level[1])) for level in theirs[:5]
        ]


@pytest.mark.parametrize(("market", "symbol", "factor"), [("spot", "BTC/USDT", 1), ("usdm", "BTC/USDT:USDT", 3)])
async def test_ccxt_lists_markets_keeps_a_book_and_streams_trades(market, symbol, factor):
    pro = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
    async with SimServer([VENUE], SETTINGS) as sim, asyncio.timeout(60):
        spot, usdm = sim.endpoint("binance", "spot").rest, sim.endpoint("binance", "usdm").rest
        exchange = sim.host("binance", market).exchange
        client = pro.binance({"options": {"fetchMarkets": {"types": ["spot", "linear"]}, "fetchMargins": False}})
        client.has["fetchCurrencies"] = False
        client.urls["api"] |= {"public": f"{spot}/api/v3", "fapiPublic": f"{usdm}/fapi/v1"}
        # ccxt takes a stream address with "/stream" in it for spot; an unknown stream name in the path is harmless.
        client.urls["api"]["ws"] |= {
            "spot": spot.replace("http", "ws") + "/ws/stream",
            "linear": usdm.replace("http", "ws") + "/ws",
        }
        try:
            markets = await client.load_markets()
            assert {"BTC/USDT", "ETH/USDT", "SOL/USDT", "BTC/USDT:USDT"} <= set(markets)
            assert markets["BTC/USDT"]["precision"]["price"] == 0.01
            assert markets["BTC/USDT:USDT"]["precision"]["amount"] == 0.001
            book = await client.fetch_order_book(symbol, 20)
            check_book(exchange, symbol, factor, book["nonce"], book["bids"], book["asks"])
            for trade in await client.watch_trades(symbol):
                check_trade(exchange, symbol, int(trade["id"]), trade["price"], trade["amount"], trade["side"])
            for _ in range(10):
                book = await client.watch_order_book(symbol)
                check_book(exchange, symbol, factor, book["nonce"], book["bids"], book["asks"])
            assert len(await client.fetch_ohlcv(symbol, "1h", limit=10)) == 10
        finally:
            await client.close()


async def test_python_binance_fetches_and_streams():
    binance = pytest.importorskip("binance", reason="python-binance is not installed")
    async with SimServer([VENUE], SETTINGS) as sim, asyncio.timeout(60):
        spot = sim.endpoint("binance", "spot").rest
        exchange = sim.host("binance", "spot").exchange
        client = binance.AsyncClient()
        client.API_URL = f"{spot}/api"
        manager = binance.BinanceSocketManager(client)
        manager.STREAM_URL = spot.replace("http", "ws") + "/"
        try:
            info = await client.get_exchange_info()
            assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
            book = await client.get_order_book(symbol="BTCUSDT", limit=20)
            check_book(exchange, "BTC/USDT", 1, book["lastUpdateId"], book["bids"], book["asks"])
            async with manager.trade_socket("BTCUSDT") as socket:
                for _ in range(5):
                    trade = await socket.recv()
                    taker = "sell" if trade["m"] else "buy"
                    check_trade(exchange, "BTC/USDT", trade["t"], float(trade["p"]), float(trade["q"]), taker)
            async with manager.multiplex_socket(["btcusdt@depth5@100ms"]) as socket:
                message = await socket.recv()
                assert message["stream"] == "btcusdt@depth5@100ms"
                assert len(message["data"]["bids"]) == 5
        finally:
            await client.close_connection()
