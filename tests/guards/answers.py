"""Answers of the venues, as their pages spell them, and a market guard that hears them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from msgspec import structs

from unitape.errors import UnitapeError, WireError
from unitape.guards import Guards, KillRules, MarketGuard
from unitape.spi import HttpResponse, Instruments, NewOrder, OrderRef, Query, TradingSettings
from unitape_binance import VENUE as BINANCE
from unitape_mexc import VENUE as MEXC
from unitape_schemas import Order
from unitape_weex import VENUE as WEEX

MARKETS = {(venue.name, market.name): market for venue in (BINANCE, MEXC, WEEX) for market in venue.markets}
SECOND = 1_000_000_000
PAGE = HttpResponse(200, b"<!doctype html><html><body>Moved</body></html>")
GONE = HttpResponse(404, b'{"timestamp":"2026-11-06","status":404,"error":"Not Found","path":"/x"}')


class Time:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def wall(self) -> int:
        return self.now

    def mono(self) -> int:
        return self.now


class NoAccount:
    live = False

    def open_orders(self, symbol: str | None = None) -> list[Any]:
        return []

    positions = open_orders

    def balances(self) -> list[Any]:
        return []


class Bench:
    """One market of one venue with its guard; ``hear`` is what the client does with an answer."""

    def __init__(self, venue: str, market: str, rules: KillRules | None = None) -> None:
        chosen = MARKETS[venue, market]
        self.time = Time()
        self.instruments = Instruments(structs.replace(one, contract_size=(1, 1000)) for one in chosen.catalogue)
        mode = "hedge" if (venue, market) == ("weex", "contract") else "one_way"
        self.trading = chosen.trading(self.instruments, TradingSettings(position_mode=mode))
        self.guards = Guards(venue, self.time, None, rules)
        self.guard: MarketGuard = self.guards.market(
            market, self.trading.spec.kill, lambda: self.instruments, NoAccount()
        )
        self.unknown: dict[str, int] = {}
        self.guard.unresolved = lambda: self.unknown
        self.spot = market == "spot"
        self.hedge = mode == "hedge"

    @property
    def halted(self) -> bool:
        return self.guards.halted is not None

    def order(self, symbol: str | None = None, client_id: str = "a") -> NewOrder:
        symbol = symbol or ("BTC/USDT" if self.spot else "BTC/USDT:USDT")
        side = "long" if self.hedge else None
        return NewOrder(
            symbol, "buy", "limit", client_id, size=Decimal("0.01"), price=Decimal(50_000), position_side=side
        )

    def place(self, symbol: str | None = None, client_id: str = "a") -> Query[Order]:
        order = self.order(symbol, client_id)
        self.guard._symbols[client_id] = order.symbol
        return self.trading.place(order)

    def cancel(self) -> Query[Any]:
        return self.trading.cancel(OrderRef("BTC/USDT" if self.spot else "BTC/USDT:USDT", id="123"))

    def ask(self) -> Query[Any]:
        return self.trading.open_orders("BTC/USDT" if self.spot else "BTC/USDT:USDT")

    def read(self, query: Query[Any], response: HttpResponse) -> Exception | object:
        try:
            return query.read(response, self.time.now)
        except UnitapeError as error:
            return error
        except Exception as error:  # noqa: BLE001 - what the client does, too
            return WireError(str(error), response.body)

    def hear(self, query: Query[Any], response: HttpResponse, client_id: str | None = "a") -> None:
        answer = self.read(query, response)
        if isinstance(answer, Exception):
            self.guard.failed(query, response, answer, client_id)
        else:
            self.guard.heard(query, response, answer)


def answer(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
    return HttpResponse(status, json.dumps(body).encode(), headers)


def futures(code: int, text: str = "") -> HttpResponse:
    """MEXC futures answer with status 200."""
    return answer(200, {"success": False, "code": code, "message": text})


def futures_placed(number: int = 1) -> HttpResponse:
    return answer(
        200, {"success": True, "code": 0, "data": {"orderId": str(700_000 + number), "ts": 1_700_000_000_000}}
    )
