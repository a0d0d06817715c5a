"""Walks the recorded frames and bodies of this venue and reads each with what the adapter offers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.recordings import RECORDINGS
from unitape.errors import WireError
from unitape.spi import HttpResponse, Instruments, Unmapped
from unitape_binance import SPOT, USDM, UsdmMarket
from unitape_schemas import Subscription

MARKETS = {"binance-spot": SPOT, "binance-usdm": USDM}
SYMBOLS = {"binance-spot": "BTC/USDT", "binance-usdm": "BTC/USDT:USDT"}

# What concerns an account or an order is not market data. Each rule is a part of the file's path.
PRIVATE = (
    "/Account/",
    "/Trading/",
    "/lean/",
    "/user_data_json/",
    "/it/ws_messages/",
    "StartUserStream",
    "UsdFutures/AccountUpdate",
    "UsdFutures/ConditionalTrigger",
    "UsdFutures/MultiAssetMode",
    "UsdFutures/OrderUpdate",
    "UsdFutures/TradeUpdate",
    "account_",
    "all_orders_response",
    "cancel_o",
    "new_order_",
    "open_orders_",
    "open_algo_orders",
    "order_response",
    "balance.json",
    "position_risk",
    "symbol_config",
)
PRIVATE_FUNCTIONS = ("_user_update_event_inner", "test_cancel_order_failed")

# nautilus keeps one body per file; the name says where it came from.
BODIES = {
    "avg_price_response": "avgPrice",
    "book_ticker_response": "ticker/bookTicker",
    "depth_response": "depth",
    "exchange_info_response": "exchangeInfo",
    "klines_response": "klines",
    "ping_response": "ping",
    "server_time_response": "time",
    "ticker_24hr_response": "ticker/24hr",
    "ticker_price_response": "ticker/price",
    "trades_response": "trades",
    "http_futures_market_open_interest": "openInterest",
    "http_futures_market_premium_index": "premiumIndex",
}
FULLY_TRUSTED = ("cryptofeed", "crypto-msg-parser", "hftbacktest", "lean")


class Item(NamedTuple):
    """One recorded message: where it stands, and its text."""

    file: str
    row: int
    market: str
    endpoint: str | None
    """The last part of the path of an HTTP body; None for a frame."""
    text: str

    @property
    def key(self) -> tuple[str, int]:
        return self.file, self.row

    @property
    def trusted(self) -> bool:
        return self.file.split("/")[1] in FULLY_TRUSTED


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix == ".json":
        yield 1, {"payload": json.loads(path.read_text("utf-8")), "file": path.stem}
        return
    body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(body.splitlines(), 1):
        yield number, json.loads(line)


def _endpoint(row: dict[str, Any], market: str) -> str | None:
    if row.get("kind") == "http":
        path = row.get("path") or urlsplit(row.get("url", "")).path or "depth"
        return path.removeprefix("/api/v3/").removeprefix("/fapi/v1/").removeprefix("/fapi/v2/")
    if row.get("function") in ("_snapshot_response", "test_get_snapshot_successful"):
        return "depth"
    return BODIES.get(row.get("file", ""))


def items() -> Iterator[Item]:
    """Yield every recorded market data message of both markets."""
    assert RECORDINGS is not None
    for market in MARKETS:
        for path in sorted((RECORDINGS / market).rglob("*")):
            name = path.relative_to(RECORDINGS).as_posix()
            if path.suffix not in (".json", ".jsonl", ".gz") or any(part in f"/{name}" for part in PRIVATE):
                continue
            for number, row in _rows(path):
                payload = row.get("payload", row.get("message"))
                if row.get("dir") == "out" or payload is None or row.get("function") in PRIVATE_FUNCTIONS:
                    continue
                text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
                yield Item(name, number, market, _endpoint(row, market), row.get("raw") or text)


class Reader:
    """Reads items with the codec, the queries and the instrument reader."""

    def __init__(self) -> None:
        self.codecs = {name: market.codec(Instruments(market.catalogue)) for name, market in MARKETS.items()}

    def read(self, item: Item) -> tuple[list[Any], str | None]:
        """Return what the item says, and why it does not say anything (None: it does)."""
        try:
            outputs = list(self._outputs(item))
        except WireError as error:
            return [], f"error: {error.reason}"
        except LookupError as error:
            return [], f"outside the contract: {error.args[0]}"
        unmapped = [output.name for output in outputs if isinstance(output, Unmapped)]
        return outputs, f"outside the contract: {unmapped[0]}" if unmapped else None

    def _outputs(self, item: Item) -> Any:
        if item.endpoint is None:
            return self.codecs[item.market].decode(item.text.encode(), 1)
        market, symbol = MARKETS[item.market], SYMBOLS[item.market]
        if item.endpoint == "exchangeInfo":
            return market.read_instruments(item.text.encode())
        rest = market.rest(Instruments(market.catalogue))
        single = UsdmMarket(trades_from="trade").rest(Instruments(USDM.catalogue))
        queries = {
            "depth": lambda: rest.depth(symbol),
            "time": rest.time,
            "klines": lambda: rest.candles(symbol, "1m"),
            "ticker/24hr": rest.tickers,
            "trades": lambda: (rest if market is SPOT else single).trades(symbol),
        }
        if market is USDM:
            queries |= {
                "historicalTrades": lambda: single.trades(symbol),
                "aggTrades": lambda: rest.trades(symbol),
                "fundingRate": lambda: rest.funding_history(symbol),
                "openInterest": lambda: rest.poll(Subscription("open_interest", symbol)),
            }
        make = queries.get(item.endpoint)
        if make is None:
            raise LookupError(f"GET {item.endpoint}")
        found = make().read(HttpResponse(200, item.text.encode()), 1)
        return found if isinstance(found, list) else [found]
