"""The queries of the simulated WEEX markets: parameters in, bodies out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from unitape.spi import HttpRequest
from unitape.spi.simulation import Exchange, SimInstrument, fixed
from unitape_schemas import Interval
from unitape_weex.simulator_rules import MILLIS, Refusal, Rules, Spelling

__all__ = ["RestFace"]

Parameters = dict[str, str]
_DEPTHS: Final = {"15": 15, "200": 200}
_PRICES: Final = {"INDEX", "MARK"}


class RestFace:
    """Answers the public queries of one market."""

    def __init__(self, exchange: Exchange, rules: Rules, spelling: Spelling, delisted: frozenset[str]) -> None:
        self._exchange = exchange
        self._rules = rules
        self._spelling = spelling
        self._delisted = delisted
        self.lag = 0.0
        shared: dict[str, Callable[[Parameters], object]] = {
            f"{rules.root}time": self._time,
            f"{rules.root}exchangeInfo": self._info,
            f"{rules.root}apiTradingSymbols": self._api_symbols,
            f"{rules.market}depth": self._depth,
            f"{rules.market}trades": self._trades,
            f"{rules.market}klines": self._klines,
            f"{rules.market}ticker/24hr": self._tickers,
            f"{rules.market}ticker/bookTicker": self._best,
        }
        own: dict[str, Callable[[Parameters], object]] = (
            {
                f"{rules.market}historyKlines": self._history,
                f"{rules.market}premiumIndex": self._premium,
                f"{rules.market}fundingRate": self._funding,
                f"{rules.market}openInterest": self._interest,
                f"{rules.market}symbolPrice": self._symbol_price,
            }
            if rules.linear
            else {f"{rules.root}ping": lambda _: {}, f"{rules.market}ticker/price": self._prices}
        )
        self.endpoints = shared | own

    def weight(self, path: str) -> int:
        """Return what a query costs."""
        name = path.removeprefix(self._rules.market).removeprefix(self._rules.root)
        return self._rules.weights.get(name, 1)

    def answer(self, request: HttpRequest) -> object:
        """Return the body; ``Refusal`` where the venue refuses, KeyError for a path that it does not have."""
        return self.endpoints[request.path](dict(parse_qsl(request.query)))

    def _symbol(self, parameters: Parameters) -> SimInstrument:
        raw = parameters.get("symbol", "")
        spec = self._spelling.by_raw.get(raw)
        if spec is None or raw in self._delisted:
            if self._rules.linear:
                raise Refusal(-1142, "Parameter 'symbol' is invalid.")
            raise Refusal(-1121, "Invalid symbol.")
        return spec

    def _specs(self, parameters: Parameters) -> list[SimInstrument]:
        if "symbol" in parameters:
            return [self._symbol(parameters)]
        if "symbols" in parameters and not self._rules.linear:
            return [
                self._symbol({"symbol": raw}) for raw in parameters["symbols"].strip("[]").replace('"', "").split(",")
            ]
        return [spec for raw, spec in self._spelling.by_raw.items() if raw not in self._delisted]

    @staticmethod
    def _number(parameters: Parameters, name: str, default: int | None, most: int | None = None) -> int | None:
        text = parameters.get(name)
        if text is None:
            return default
        if not text.isdigit() or (most is not None and not 1 <= int(text) <= most):
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return int(text)

    @staticmethod
    def _raw(spec: SimInstrument) -> str:
        return spec.base + spec.quote

    def _time(self, _: Parameters) -> object:
        return {"serverTime": self._exchange.now // MILLIS}

    def _api_symbols(self, _: Parameters) -> object:
        return [raw for raw in self._spelling.by_raw if raw not in self._delisted]

    def _info(self, parameters: Parameters) -> object:
        specs = self._specs(parameters)
        if self._rules.linear:
            weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 10, "limit": 500}
            orders = {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 50}
            return {
                "assets": [{"asset": "USDT", "marginAvailable": True}],
                "rateLimits": [weight, orders],
                "symbols": [self._contract(spec) for spec in specs],
            }
        return {
            "timezone": "UTC",
            "serverTime": self._exchange.now // MILLIS,
            "symbols": [self._pair(spec) for spec in specs],
        }

    def _pair(self, spec: SimInstrument) -> object:
        return {
            "symbol": self._raw(spec),
            "status": "TRADING",
            "baseAsset": spec.base,
            "baseAssetPrecision": str(spec.step_scale),
            "quoteAsset": spec.quote,
            "quoteAssetPrecision": "8",
            "tickSize": spec.price_text(1),
            "stepSize": spec.size_text(1),
            "minTradeAmount": spec.size_text(1),
            "maxTradeAmount": "1000000",
            "takerFeeRate": "0.001",
            "makerFeeRate": "0.001",
            "enableTrade": True,
            "enableDisplay": True,
        }

    def _contract(self, spec: SimInstrument) -> object:
        return {
            "symbol": self._raw(spec),
            "baseAsset": spec.base,
            "quoteAsset": spec.quote,
            "marginAsset": spec.settle,
            "pricePrecision": str(spec.tick_scale),
            "quantityPrecision": str(spec.step_scale),
            "contractVal": spec.size_text(1),
            "delivery": ["00:00:00", "08:00:00", "16:00:00"],
            "forwardContractFlag": True,
            "minOrderSize": spec.size_text(1),
            "maxOrderSize": "1000000",
            "makerFeeRate": "0.0002",
            "takerFeeRate": "0.0008",
        }

    def _depth(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        limit = _DEPTHS.get(parameters.get("limit", "15"))
        if limit is None:
            raise Refusal(-1142, "Parameter 'limit' is invalid.")
        image = self._exchange.book(spec.symbol, limit, lag=self.lag)
        return {
            "lastUpdateId": image.seq,
            "bids": self._spelling.levels(spec, image.bids),
            "asks": self._spelling.levels(spec, image.asks),
        }

    def _trades(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        limit = self._number(parameters, "limit", 100, 1000) or 100
        return [
            {
                "id": self._spelling.trade_id(trade),
                "price": spec.price_text(trade.price),
                "qty": spec.size_text(trade.size),
                "quoteQty": spec.notional_text(trade.price * trade.size),
                "time": trade.ts // MILLIS,
                "isBuyerMaker": trade.taker == "sell",
                "isBestMatch": True,
            }
            for trade in reversed(self._exchange.trades(spec.symbol, limit))
        ]

    def _interval(self, parameters: Parameters) -> Interval:
        text = parameters.get("interval", "")
        for interval in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w", "1M"):
            if text == interval and text in self._rules.rest_intervals:
                return interval
        raise Refusal(-1142, "Parameter 'interval' is invalid.")

    def _rows(self, spec: SimInstrument, interval: Interval, start: int | None, end: int | None, limit: int) -> object:
        rows: list[list[object]] = []
        for bar in self._exchange.bars(spec.symbol, interval, start=start, end=end, limit=limit):
            said = self._spelling.bar(spec, bar)
            rows.append(
                [
                    bar.open_ts // MILLIS,
                    said["o"],
                    said["h"],
                    said["l"],
                    said["c"],
                    said["v"],
                    bar.close_ts // MILLIS,
                    said["q"],
                    bar.trades,
                    said["V"],
                    said["Q"],
                ]
            )
        return rows

    def _klines(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        limit = self._rules.klines
        if self._rules.linear:
            limit = self._number(parameters, "limit", 100, limit) or limit
        return self._rows(spec, self._interval(parameters), None, None, limit)

    def _history(self, parameters: Parameters) -> object:
        """Answer the newest rows of the range: where it holds more than a page, its end wins."""
        spec = self._symbol(parameters)
        interval = self._interval(parameters)
        start, end = self._number(parameters, "startTime", None), self._number(parameters, "endTime", None)
        now = self._exchange.now // MILLIS
        if any(moment is not None and moment > now for moment in (start, end)):
            raise Refusal(-1170, "The time is in the future.")
        limit = self._number(parameters, "limit", 100, 100) or 100
        until = None if end is None else end * MILLIS
        bars = self._exchange.bars(spec.symbol, interval, end=until, limit=limit)
        kept = [bar for bar in bars if start is None or bar.open_ts >= start * MILLIS]
        if not kept:
            return []
        return self._rows(spec, interval, kept[0].open_ts, until, len(kept))

    def _tickers(self, parameters: Parameters) -> object:
        return [self._ticker(spec) for spec in self._specs(parameters)]

    def _ticker(self, spec: SimInstrument) -> object:
        day = self._exchange.day(spec.symbol)
        change = day.last - day.open
        row: dict[str, object] = {
            "symbol": self._raw(spec),
            "priceChange": spec.price_text(change),
            "priceChangePercent": self._spelling.fraction(change, day.open),
            "lastPrice": spec.price_text(day.last),
            "openPrice": spec.price_text(day.open),
            "highPrice": spec.price_text(day.high),
            "lowPrice": spec.price_text(day.low),
            "volume": spec.size_text(day.volume),
            "quoteVolume": spec.notional_text(day.amount),
            "openTime": day.open_ts // MILLIS,
            "closeTime": day.close_ts // MILLIS,
        }
        if self._rules.linear:
            state = self._exchange.perpetual(spec.symbol)
            return row | {"markPrice": fixed(state.mark_e8, 8), "indexPrice": fixed(state.index_e8, 8)}
        best = self._exchange.best(spec.symbol)
        return row | {
            "bidPrice": spec.price_text(best.bid),
            "bidQty": spec.size_text(best.bid_size),
            "askPrice": spec.price_text(best.ask),
            "askQty": spec.size_text(best.ask_size),
            "count": day.trades,
        }

    def _best(self, parameters: Parameters) -> object:
        rows: list[object] = []
        for spec in self._specs(parameters):
            best = self._exchange.best(spec.symbol)
            row: dict[str, object] = {
                "symbol": self._raw(spec),
                "bidPrice": spec.price_text(best.bid),
                "bidQty": spec.size_text(best.bid_size),
                "askPrice": spec.price_text(best.ask),
                "askQty": spec.size_text(best.ask_size),
            }
            rows.append(row | {"time": self._exchange.now // MILLIS} if self._rules.linear else row)
        return rows

    def _prices(self, parameters: Parameters) -> object:
        return [
            {"symbol": self._raw(spec), "price": spec.price_text(self._exchange.day(spec.symbol).last)}
            for spec in self._specs(parameters)
        ]

    def _premium(self, parameters: Parameters) -> object:
        rows: list[object] = []
        for spec in self._specs(parameters):
            state = self._exchange.perpetual(spec.symbol)
            settled = self._exchange.settlements(spec.symbol, limit=1)
            rows.append(
                {
                    "symbol": self._raw(spec),
                    "markPrice": fixed(state.mark_e8, 8),
                    "indexPrice": fixed(state.index_e8, 8),
                    "lastFundingRate": fixed(settled[-1].rate_e8 if settled else 0, 8),
                    "forecastFundingRate": fixed(state.rate_e8, 8),
                    "interestRate": "0.0001",
                    "nextFundingTime": state.next_funding // MILLIS,
                    "time": self._exchange.now // MILLIS,
                    "collectCycle": state.funding_hours * 60,
                }
            )
        return rows

    def _funding(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        start, end = self._number(parameters, "startTime", None), self._number(parameters, "endTime", None)
        rows = self._exchange.settlements(
            spec.symbol,
            start=None if start is None else start * MILLIS,
            end=None if end is None else end * MILLIS,
            limit=self._number(parameters, "limit", 100, 1000) or 100,
        )
        return [
            {
                "symbol": self._raw(spec),
                "fundingRate": fixed(row.rate_e8, 8),
                "fundingTime": row.ts // MILLIS,
                "markPrice": fixed(row.mark_e8, 8),
            }
            for row in reversed(rows)
        ]

    def _interest(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        size = spec.size_text(self._exchange.perpetual(spec.symbol).open_interest)
        return {"symbol": self._raw(spec), "openInterest": size, "time": self._exchange.now // MILLIS}

    def _symbol_price(self, parameters: Parameters) -> object:
        spec = self._symbol(parameters)
        kind = parameters.get("priceType", "INDEX")
        if kind not in _PRICES:
            raise Refusal(-1142, "Parameter 'priceType' is invalid.")
        state = self._exchange.perpetual(spec.symbol)
        price = state.index_e8 if kind == "INDEX" else state.mark_e8
        return {"symbol": self._raw(spec), "price": fixed(price, 8), "time": self._exchange.now // MILLIS}
