"""The REST endpoints of the simulated Binance markets: parameters in, JSON values out."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from unitape.spi import HttpRequest
from unitape.spi.simulation import Exchange, SimInstrument, SimTrade, fixed
from unitape_binance.simulator_rules import MICROS, MILLIS, Refusal, Spelling, percent
from unitape_binance.simulator_symbols import futures_exchange_info, spot_exchange_info

Json = object
_MARKET_KEYS: Final = {"symbol", "limit"}
_DEPTH_WEIGHTS_SPOT: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
_DEPTH_WEIGHTS_FUTURES: Final = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1_000: 20}


class AggregateTrade(Struct, frozen=True, gc=False):
    """What one taker's order traded at one price."""

    id: int
    price: int
    size: int
    first: int
    last: int
    ts: int
    buyer_is_maker: bool


class Parameters:
    """The parameters of one request, each read with the venue's own complaints."""

    def __init__(self, request: HttpRequest) -> None:
        pairs = parse_qsl(request.query, keep_blank_values=True)
        if len({name for name, _ in pairs}) < len(pairs):
            raise Refusal(-1101, "Too many parameters; expected at most one of each.")
        self.values = dict(pairs)
        headers = {name.lower(): value for name, value in request.headers}
        self.key = headers.get("x-mbx-apikey")
        self.unit = MICROS if headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND" else MILLIS

    def renamed(self, names: Mapping[str, str]) -> Parameters:
        """Return the parameters of another request that this one contains: those in ``names``, by their names there."""
        other = copy(self)
        other.values = {new: self.values[old] for old, new in names.items() if old in self.values}
        return other

    def text(self, name: str) -> str | None:
        """Return a parameter or None."""
        return self.values.get(name)

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.values.get(name)
        if not value:
            raise Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def number(self, name: str) -> int | None:
        """Return a number, or None when it is not sent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,20}", value):
            raise Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return ``limit``, cut to what the venue gives at most."""
        value = self.number("limit")
        if value == 0:
            raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value or default, most)

    def moment(self, name: str) -> int | None:
        """Return a time in nanoseconds; milliseconds or microseconds are told apart by their size."""
        value = self.number(name)
        if value is None:
            return None
        return value * (MICROS if value >= 10**14 else MILLIS)

    def names(self) -> list[str] | None:
        """Return ``symbols``, a JSON list of names, or None."""
        text = self.values.get("symbols")
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=list[str])
        except msgspec.MsgspecError:
            raise Refusal(
                -1100,
                "Illegal characters found in parameter 'symbols'; legal range is '^\\[(\"[\\w\\-._&]+\",?)+\\]$'.",
            ) from None


class Endpoint(Struct, frozen=True):
    """One endpoint: its handler, its weight, and the parameters it knows."""

    answer: Callable[[Parameters], Json]
    weight: Callable[[Parameters], int]
    names: frozenset[str] = frozenset()


def _flat(weight: int) -> Callable[[Parameters], int]:
    return lambda parameters: weight


def _by_symbol(one: int, many: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if "symbol" in parameters.values else many


class RestFace:
    """Every public endpoint of one market. ``endpoints`` maps paths to them."""

    def __init__(self, exchange: Exchange, spelling: Spelling, snapshot_lag: Callable[[], float]) -> None:
        self._exchange = exchange
        self._spelling = spelling
        self._rules = spelling.rules
        self._snapshot_lag = snapshot_lag
        self.aggregates: dict[str, deque[AggregateTrade]] = {
            spec.symbol: deque(maxlen=5_000) for spec in exchange.instruments
        }
        table = self._futures_table() if self._rules.linear else self._spot_table()
        self.endpoints: Mapping[str, Endpoint] = {
            path if path.startswith("/") else f"{self._rules.rest}/{path}": endpoint for path, endpoint in table.items()
        }

    def _spot_table(self) -> dict[str, Endpoint]:
        candle_names = frozenset({"symbol", "interval", "startTime", "endTime", "timeZone", "limit"})
        ticker_names = frozenset({"symbol", "symbols", "type", "symbolStatus"})
        return {
            "ping": Endpoint(lambda _: {}, _flat(1)),
            "time": Endpoint(self._time, _flat(1)),
            "exchangeInfo": Endpoint(
                lambda p: spot_exchange_info(self._spelling, self._chosen(p), self._exchange.now // p.unit),
                _flat(20),
                frozenset({"symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"}),
            ),
            "depth": Endpoint(self._depth, self._spot_depth_weight, frozenset({*_MARKET_KEYS, "symbolStatus"})),
            "trades": Endpoint(self._trades, _flat(25), frozenset(_MARKET_KEYS)),
            "historicalTrades": Endpoint(self._old_trades, _flat(25), frozenset({*_MARKET_KEYS, "fromId"})),
            "aggTrades": Endpoint(
                self._aggregate_trades, _flat(4), frozenset({*_MARKET_KEYS, "fromId", "startTime", "endTime"})
            ),
            "klines": Endpoint(self._klines, _flat(2), candle_names),
            "uiKlines": Endpoint(self._klines, _flat(2), candle_names),
            "avgPrice": Endpoint(self._average_price, _flat(2), frozenset({"symbol"})),
            "ticker/24hr": Endpoint(self._tickers, self._spot_ticker_weight, ticker_names),
            "ticker/price": Endpoint(self._prices, _by_symbol(2, 4), ticker_names),
            "ticker/bookTicker": Endpoint(self._book_tickers, _by_symbol(2, 4), ticker_names),
        }

    def _futures_table(self) -> dict[str, Endpoint]:
        return {
            "ping": Endpoint(lambda _: {}, _flat(1)),
            "time": Endpoint(self._time, _flat(1)),
            "exchangeInfo": Endpoint(
                lambda p: futures_exchange_info(self._spelling, self._exchange.now // p.unit), _flat(1)
            ),
            "depth": Endpoint(self._depth, lambda p: _DEPTH_WEIGHTS_FUTURES.get(p.number("limit") or 500, 20)),
            "trades": Endpoint(self._trades, _flat(5)),
            "historicalTrades": Endpoint(self._old_trades, _flat(20)),
            "aggTrades": Endpoint(self._aggregate_trades, _flat(20)),
            "klines": Endpoint(self._klines, self._futures_kline_weight),
            "continuousKlines": Endpoint(self._klines, self._futures_kline_weight),
            "ticker/24hr": Endpoint(self._tickers, _by_symbol(1, 40)),
            "ticker/price": Endpoint(self._prices, _by_symbol(1, 2)),
            "/fapi/v2/ticker/price": Endpoint(self._prices, _by_symbol(1, 2)),
            "ticker/bookTicker": Endpoint(self._book_tickers, _by_symbol(2, 5)),
            "premiumIndex": Endpoint(self._premium, _by_symbol(1, 10)),
            "fundingRate": Endpoint(self._funding, _flat(0)),
            "fundingInfo": Endpoint(lambda _: [], _flat(0)),
            "openInterest": Endpoint(self._open_interest, _flat(1)),
        }

    # Weights ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def _spot_depth_weight(parameters: Parameters) -> int:
        limit = parameters.number("limit") or 100
        return next((weight for most, weight in _DEPTH_WEIGHTS_SPOT if limit <= most), 250)

    @staticmethod
    def _spot_ticker_weight(parameters: Parameters) -> int:
        if "symbol" in parameters.values:
            return 2
        names = parameters.names()
        if names is None or len(names) > 100:
            return 80
        return 2 if len(names) <= 20 else 40

    @staticmethod
    def _futures_kline_weight(parameters: Parameters) -> int:
        limit = parameters.number("limit") or 500
        return next((weight for most, weight in ((100, 1), (500, 2), (1_000, 5)) if limit <= most), 10)

    # Parameters ------------------------------------------------------------------------------------------------------

    def _instrument(self, raw: str) -> SimInstrument:
        if not re.fullmatch(r"[\w\-.&]{1,40}", raw):
            raise Refusal(
                -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[\\w\\-._&]{1,40}$'."
            )
        spec = self._spelling.by_raw.get(raw)
        if spec is None:
            raise Refusal(-1121, "Invalid symbol.")
        return spec

    def _symbol(self, parameters: Parameters) -> SimInstrument:
        return self._instrument(parameters.required("symbol"))

    def _chosen(self, parameters: Parameters) -> Sequence[SimInstrument]:
        """Return what ``symbol`` or ``symbols`` name; all when there is neither."""
        names = parameters.names()
        if names is not None:
            return [self._instrument(name) for name in names]
        name = parameters.text("symbol")
        return self._exchange.instruments if name is None else [self._instrument(name)]

    def _one_or_many(self, parameters: Parameters, row: Callable[[SimInstrument], Json]) -> Json:
        rows = [row(spec) for spec in self._chosen(parameters)]
        return rows[0] if "symbol" in parameters.values else rows

    # Answers ---------------------------------------------------------------------------------------------------------

    def _time(self, parameters: Parameters) -> Json:
        return {"serverTime": self._exchange.now // parameters.unit}

    def _depth(self, parameters: Parameters) -> Json:
        spec = self._symbol(parameters)
        if self._rules.linear:
            limit = parameters.number("limit") or 500
            if limit not in _DEPTH_WEIGHTS_FUTURES:
                raise Refusal(-4021, f"Invalid depth limit {limit}; allowed are 5, 10, 20, 50, 100, 500, 1000.")
        else:
            limit = parameters.limit(100, 5_000)
        image = self._exchange.book(spec.symbol, limit, lag=self._snapshot_lag())
        spelling = self._spelling
        body: dict[str, Json] = {"lastUpdateId": spelling.update_id(image.seq)}
        if self._rules.linear:
            body |= {"E": self._exchange.now // MILLIS, "T": image.ts // MILLIS}
        return body | {"bids": spelling.levels(spec, image.bids), "asks": spelling.levels(spec, image.asks)}

    def _trade_row(self, spec: SimInstrument, trade: SimTrade, unit: int) -> Json:
        spelling = self._spelling
        last: dict[str, Json] = {"isRPITrade": False} if self._rules.linear else {"isBestMatch": True}
        return {
            "id": trade.id,
            "price": spelling.price(spec, trade.price),
            "qty": spelling.size(spec, trade.size),
            "quoteQty": spelling.amount(spec, trade.price * trade.size),
            "time": trade.ts // unit,
            "isBuyerMaker": trade.taker == "sell",
        } | last

    def _trades(self, parameters: Parameters) -> Json:
        spec = self._symbol(parameters)
        rows = self._exchange.trades(spec.symbol, parameters.limit(500, 1_000))
        return [self._trade_row(spec, trade, parameters.unit) for trade in rows]

    def _old_trades(self, parameters: Parameters) -> Json:
        if self._rules.linear and not parameters.key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        spec = self._symbol(parameters)
        limit = parameters.limit(100, 500) if self._rules.linear else parameters.limit(500, 1_000)
        first = parameters.number("fromId")
        if first is None:
            rows = self._exchange.trades(spec.symbol, limit)
        else:
            rows = self._exchange.trades_from(spec.symbol, first, limit)
        return [self._trade_row(spec, trade, parameters.unit) for trade in rows]

    def _aggregate_trades(self, parameters: Parameters) -> Json:
        spec = self._symbol(parameters)
        limit = parameters.limit(500, 1_000)
        first, start, end = parameters.number("fromId"), parameters.moment("startTime"), parameters.moment("endTime")
        rows = list(self.aggregates[spec.symbol])
        if first is not None:
            rows = [row for row in rows if row.id >= first][:limit]
        else:
            rows = [row for row in rows if (start or 0) <= row.ts and (end is None or row.ts < end + MILLIS)]
            rows = rows[:limit] if start is not None else rows[-limit:]
        return [self._aggregate_row(spec, row, parameters.unit) for row in rows]

    def _aggregate_row(self, spec: SimInstrument, row: AggregateTrade, unit: int) -> Json:
        size = self._spelling.size(spec, row.size)
        last: dict[str, Json] = {"nq": size} if self._rules.linear else {"M": True}
        return {
            "a": row.id,
            "p": self._spelling.price(spec, row.price),
            "q": size,
            "f": row.first,
            "l": row.last,
            "T": row.ts // unit,
            "m": row.buyer_is_maker,
        } | last

    def _klines(self, parameters: Parameters) -> Json:
        name = "pair" if "pair" in parameters.values else "symbol"
        spec = self._instrument(parameters.required(name))
        interval = self._spelling.interval(parameters.required("interval"))
        if interval is None:
            raise Refusal(-1120, "Invalid interval.")
        end = parameters.moment("endTime")
        bars = self._exchange.bars(
            spec.symbol,
            interval,
            start=parameters.moment("startTime"),
            end=None if end is None else end + 1,
            limit=parameters.limit(500, self._rules.klines_limit),
        )
        spelling, unit = self._spelling, parameters.unit
        return [
            (
                bar.open_ts // unit,
                spelling.price(spec, bar.open),
                spelling.price(spec, bar.high),
                spelling.price(spec, bar.low),
                spelling.price(spec, bar.close),
                spelling.size(spec, bar.volume),
                bar.close_ts // unit - 1,
                spelling.amount(spec, bar.amount),
                bar.trades,
                spelling.size(spec, bar.taker_volume),
                spelling.amount(spec, bar.taker_amount),
                "0",
            )
            for bar in bars
        ]

    def _average_price(self, parameters: Parameters) -> Json:
        spec = self._symbol(parameters)
        bars = self._exchange.bars(spec.symbol, "1m", limit=5)
        amount, volume = sum(bar.amount for bar in bars), sum(bar.volume for bar in bars)
        price = self._spelling.average(spec, amount, volume, bars[-1].close)
        return {"mins": 5, "price": price, "closeTime": self._exchange.now // parameters.unit}

    def _tickers(self, parameters: Parameters) -> Json:
        mini = parameters.text("type") == "MINI"
        return self._one_or_many(parameters, lambda spec: self._ticker_row(spec, parameters.unit, mini=mini))

    def _ticker_row(self, spec: SimInstrument, unit: int, *, mini: bool) -> Json:
        day, spelling = self._exchange.day(spec.symbol), self._spelling
        row: dict[str, Json] = {"symbol": spelling.raw_of[spec.symbol]}
        if not mini:
            row |= {
                "priceChange": spelling.price(spec, day.last - day.open),
                "priceChangePercent": percent(day.last - day.open, day.open),
                "weightedAvgPrice": spelling.average(spec, day.amount, day.volume, day.last),
            }
        if not mini and not self._rules.linear:
            best = self._exchange.best(spec.symbol)
            row |= {
                "prevClosePrice": spelling.price(spec, day.before),
                "bidPrice": spelling.price(spec, best.bid),
                "bidQty": spelling.size(spec, best.bid_size),
                "askPrice": spelling.price(spec, best.ask),
                "askQty": spelling.size(spec, best.ask_size),
            }
        row["lastPrice"] = spelling.price(spec, day.last)
        if not mini:
            row["lastQty"] = spelling.size(spec, day.last_size)
        return row | {
            "openPrice": spelling.price(spec, day.open),
            "highPrice": spelling.price(spec, day.high),
            "lowPrice": spelling.price(spec, day.low),
            "volume": spelling.size(spec, day.volume),
            "quoteVolume": spelling.amount(spec, day.amount),
            "openTime": day.open_ts // unit,
            "closeTime": day.close_ts // unit,
            "firstId": day.first_id,
            "lastId": day.last_id,
            "count": day.trades,
        }

    def _stamped(self, row: dict[str, Json]) -> Json:
        return row | {"time": self._exchange.now // MILLIS} if self._rules.linear else row

    def _prices(self, parameters: Parameters) -> Json:
        def row(spec: SimInstrument) -> Json:
            price = self._spelling.price(spec, self._exchange.day(spec.symbol).last)
            return self._stamped({"symbol": self._spelling.raw_of[spec.symbol], "price": price})

        return self._one_or_many(parameters, row)

    def _book_tickers(self, parameters: Parameters) -> Json:
        def row(spec: SimInstrument) -> Json:
            best, spelling = self._exchange.best(spec.symbol), self._spelling
            return self._stamped(
                {
                    "symbol": spelling.raw_of[spec.symbol],
                    "bidPrice": spelling.price(spec, best.bid),
                    "bidQty": spelling.size(spec, best.bid_size),
                    "askPrice": spelling.price(spec, best.ask),
                    "askQty": spelling.size(spec, best.ask_size),
                }
            )

        return self._one_or_many(parameters, row)

    def _premium(self, parameters: Parameters) -> Json:
        def row(spec: SimInstrument) -> Json:
            state = self._exchange.perpetual(spec.symbol)
            return {
                "symbol": self._spelling.raw_of[spec.symbol],
                "markPrice": fixed(state.mark_e8, 8),
                "indexPrice": fixed(state.index_e8, 8),
                "estimatedSettlePrice": fixed(state.index_e8, 8),
                "lastFundingRate": fixed(state.rate_e8, 8),
                "interestRate": "0.00010000",
                "nextFundingTime": state.next_funding // MILLIS,
                "time": self._exchange.now // MILLIS,
            }

        return self._one_or_many(parameters, row)

    def _funding(self, parameters: Parameters) -> Json:
        start, end, limit = parameters.moment("startTime"), parameters.moment("endTime"), parameters.limit(100, 1_000)
        last = None if end is None else end + MILLIS - 1
        rows = [
            (spec, settlement)
            for spec in self._chosen(parameters)
            for settlement in self._exchange.settlements(spec.symbol, start=start, end=last, limit=limit)
        ]
        rows.sort(key=lambda row: row[1].ts)
        return [
            {
                "symbol": self._spelling.raw_of[spec.symbol],
                "fundingRate": fixed(settlement.rate_e8, 8),
                "fundingTime": settlement.ts // MILLIS,
                "markPrice": fixed(settlement.mark_e8, 8),
                "rateType": "Regular",
            }
            for spec, settlement in (rows[:limit] if start is not None else rows[-limit:])
        ]

    def _open_interest(self, parameters: Parameters) -> Json:
        spec = self._symbol(parameters)
        state = self._exchange.perpetual(spec.symbol)
        return {
            "openInterest": self._spelling.size(spec, state.open_interest),
            "symbol": self._spelling.raw_of[spec.symbol],
            "time": self._exchange.now // MILLIS,
        }
