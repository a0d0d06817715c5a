"""The spot face: protobuf pushes, replies whose code is 0 whatever they say, and 30 subscriptions at most.

What a connection asks for beyond 30 is acknowledged like the rest and never delivered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from unitape.spi import HttpResponse
from unitape.spi.simulation import PRIVATE_STREAM, BestPrices, Binary, FaceOutput, SimInstrument, Text
from unitape_mexc.simulator_base import MILLIS, SECOND, BaseFace, Connection, Refusal, Stream, encode
from unitape_mexc.simulator_pushes_spot import CHANNELS
from unitape_mexc.simulator_streams import Watch
from unitape_mexc.simulator_wire import Field, message, push
from unitape_schemas import Interval

__all__ = ["SpotFace"]

_OPEN: Final = 30
"""Subscriptions that one connection is served."""
_PER_KEY: Final = 5
"""Connections that one listen key may have."""
_UNSUBSCRIBED: Final = 30 * SECOND
_IDLE: Final = 60 * SECOND
_EMPTY_AFTER: Final = 3 * SECOND
"""A depth stream without changes for so long sends a frame without a body."""

_STREAM_INTERVALS: Final[Mapping[str, Interval]] = {
    "Min1": "1m", "Min5": "5m", "Min15": "15m", "Min30": "30m", "Min60": "1h", "Hour4": "4h", "Hour8": "8h",
    "Day1": "1d", "Week1": "1w", "Month1": "1M",
}  # fmt: skip
_REST_INTERVALS: Final[Mapping[str, Interval]] = {
    "1m": "1m", "5m": "5m", "15m": "15m", "30m": "30m", "60m": "1h", "4h": "4h", "1d": "1d", "1W": "1w", "1M": "1M",
}  # fmt: skip
_SPEEDS: Final = {"10ms": 10 * MILLIS, "100ms": 100 * MILLIS}
_NAME: Final = re.compile(r"spot@public\.([\w.]+)\.v3\.api\.pb((?:@[^@]+)+)")
_PLAIN: Final[Mapping[str, tuple[str, int]]] = {
    # name -> (kind, nanoseconds between pushes)
    "bookTicker.batch": ("quotes batch", 100 * MILLIS),
    "increase.depth.batch": ("depth", 50 * MILLIS),
    "limit.depth": ("top", 100 * MILLIS),
    "kline": ("kline", SECOND),
    "miniTicker": ("ticker", 3 * SECOND),
}
_AGGREGATED: Final[Mapping[str, str]] = {"aggre.deals": "deals", "aggre.depth": "depth", "aggre.bookTicker": "quotes"}


class _Request(msgspec.Struct):
    method: str
    params: list[str] = []
    id: int = 0


class SpotFace(BaseFace):
    """MEXC spot."""

    path = "/ws"
    market = "spot"

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Take a handshake. A listen key in the address makes it a private connection; a wrong one ends it at once."""
        refused = super().ws_open(conn, target, headers)
        key = dict(parse_qsl(urlsplit(target).query)).get("listenKey")
        if refused is not None or key is None:
            return refused
        user = self.private.keys.owner(key)
        if user is None or sum(watch.key == key for watch in self.watches.values()) >= _PER_KEY:
            self.turn_away(conn)
        else:
            self.watches[conn] = Watch(user, key)
        return None

    def turn_away(self, number: int) -> None:
        """Say so, in words that are no JSON, unlike everything else that is said in text."""
        self.outbox.append(Text(number, b"Invalid listen key"))
        super().turn_away(number)

    def key_ends(self, watch: Watch) -> bool:
        """In time, when it was deleted, or by a fault."""
        ended = self.private.keys.owner(watch.key) is None
        return ended or self.options.faults.take("listen_key_expired", PRIVATE_STREAM) is not None

    def take(self, connection: Connection, text: str) -> None:
        """Take SUBSCRIPTION, UNSUBSCRIPTION and PING."""
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.MsgspecError:
            self.say(connection, {"id": 0, "code": 0, "msg": "msg format invalid"})
            return
        if request.method.upper() == "PING":
            connection.pinged = connection.heard = self.now
            self.say(connection, {"id": request.id, "code": 0, "msg": "PONG"})
        elif request.method == "SUBSCRIPTION":
            self._subscribe(connection, request)
        elif request.method == "UNSUBSCRIPTION":
            watch = self.watches.get(connection.id)
            for name in request.params:
                self.leave(connection, name)
                if watch is not None:
                    watch.wanted.discard(name)
            self.say(connection, {"id": request.id, "code": 0, "msg": ",".join(request.params)})

    def _subscribe(self, connection: Connection, request: _Request) -> None:
        accepted: list[str] = []
        refused: list[str] = []
        watch = self.watches.get(connection.id)
        for name in request.params:
            if watch is not None and name in CHANNELS:
                watch.wanted.add(name)
                watch.start(self.exchange.accounts)
                accepted.append(name)
                continue
            stream = self._stream(name)
            if stream is None or self.options.faults.take("refused_subscribe", name) is not None:
                refused.append(name)
                continue
            accepted.append(name)
            if name in connection.streams or len(connection.streams) < _OPEN:
                self.join(connection, stream)
        reply = ",".join(accepted)
        if refused:
            reply = f"Subscribed successful! [{reply}]. " if accepted else ""
            reply += f"Not Subscribed successfully! [{','.join(refused)}].  Reason： Blocked! "
        # Mixed and refused requests are answered with id 0.
        self.say(connection, {"id": 0 if refused else request.id, "code": 0, "msg": reply})

    def _stream(self, name: str) -> Stream | None:
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        kind, parts = found[1], found[2].split("@")[1:]
        if kind == "miniTickers" and len(parts) == 1:
            return Stream(name, "tickers", "", parts[0], 3 * SECOND)
        if kind in _AGGREGATED and len(parts) == 2 and parts[0] in _SPEEDS and self._known(parts[1]):
            return Stream(name, _AGGREGATED[kind], self._unified(parts[1]), "", _SPEEDS[parts[0]])
        if kind not in _PLAIN or not self._known(parts[0]):
            return None
        argument = parts[1] if len(parts) == 2 else ""
        allowed = {"limit.depth": ("5", "10", "20"), "kline": tuple(_STREAM_INTERVALS)}.get(kind)
        if (allowed is not None and argument not in allowed) or (kind == "miniTicker" and not argument):
            return None
        label, every = _PLAIN[kind]
        return Stream(name, label, self._unified(parts[0]), argument, every)

    def frame(self, conn: int, data: bytes, stream: str) -> FaceOutput:
        """Pushes are binary."""
        return Binary(conn, data, stream)

    def silent_too_long(self, connection: Connection) -> str | None:
        """30 s without a subscription, or 60 s without data and ping."""
        watch = self.watches.get(connection.id)
        if not connection.streams and not (watch and watch.wanted):
            return "no subscription" if self.now - connection.opened >= _UNSUBSCRIBED else None
        return "idle" if self.now - connection.heard >= _IDLE else None

    def render(self, stream: Stream) -> Iterable[bytes]:
        """Return the pushes that are due."""
        match stream.kind:
            case "depth":
                return self._depth(stream)
            case "deals":
                return self._deals(stream)
            case "quotes" | "quotes batch":
                return self._quotes(stream)
            case "top":
                return self._top(stream)
            case "kline":
                return self._kline(stream)
            case _:
                return self._tickers(stream)

    def _depth(self, stream: Stream) -> Iterable[bytes]:
        raw, item = self._raw(stream.symbol), self.exchange.instrument(stream.symbol)
        changes, stream.pending = stream.pending, []
        if not changes:
            if not isinstance(stream.last, int) or self.now - stream.last < _EMPTY_AFTER:
                stream.last = stream.last or self.now
                return
            stream.last = self.now
            yield push(stream.name, raw, self.millis)
            return
        stream.last = self.now
        if "increase.depth" in stream.name:
            items: list[Field] = []
            for change in changes:
                side = 1 if change.side == "sell" else 2
                items.append((1, message([(side, _level(item, change.price, change.size)), (4, str(change.seq))])))
            yield push(stream.name, raw, self.millis, 312, [*items, (2, stream.name.rpartition("@")[0])])
            return
        newest = {(change.side, change.price): change.size for change in changes}
        sides = {side: sorted(p for s, p in newest if s == side) for side in ("sell", "buy")}
        asks = [(1, _level(item, price, newest["sell", price])) for price in sides["sell"]]
        bids = [(2, _level(item, price, newest["buy", price])) for price in reversed(sides["buy"])]
        tail = [(3, stream.name.rpartition("@")[0]), (4, str(changes[0].seq)), (5, str(changes[-1].seq))]
        body: list[Field] = [*asks, *bids, *tail, (6, changes[-1].ts // MILLIS)]
        yield push(stream.name, raw, self.millis, 313, body)

    def _deals(self, stream: Stream) -> Iterable[bytes]:
        item = self.exchange.instrument(stream.symbol)
        trades, stream.trades = stream.trades, []
        if not trades:
            return
        deals = [
            message(
                [
                    (1, item.price_text(trade.price)),
                    (2, item.size_text(trade.size)),
                    (3, 1 if trade.taker == "buy" else 2),
                    (4, trade.ts // MILLIS),
                    (5, f"{7_302_924_254_314 + trade.id}X0_{trade.maker_order}X0"),
                ]
            )
            for trade in trades
        ]
        body: list[Field] = [*((1, deal) for deal in deals), (2, stream.name.rpartition("@")[0])]
        yield push(stream.name, self._raw(stream.symbol), self.millis, 314, body)

    def _quotes(self, stream: Stream) -> Iterable[bytes]:
        best = self.exchange.best(stream.symbol)
        if best == stream.last or not (best.bid and best.ask):
            return
        stream.last = best
        fields = self._best(self.exchange.instrument(stream.symbol), best)
        raw = self._raw(stream.symbol)
        if stream.kind == "quotes":
            yield push(stream.name, raw, self.millis, 315, [*fields, (5, str(best.seq)), (6, self.millis)])
        else:
            yield push(stream.name, raw, self.millis, 311, [(1, message(fields)), (2, str(best.seq))])

    def _top(self, stream: Stream) -> Iterable[bytes]:
        image = self.exchange.book(stream.symbol, int(stream.argument))
        if image.seq == stream.last:
            return
        stream.last = image.seq
        item = self.exchange.instrument(stream.symbol)
        asks = [(1, _level(item, *level)) for level in image.asks]
        bids = [(2, _level(item, *level)) for level in image.bids]
        body: list[Field] = [
            *asks,
            *bids,
            (3, "spot@public.limit.depth.v3.api.pb"),
            (4, str(image.seq)),
            (5, image.ts // MILLIS),
        ]
        yield push(stream.name, self._raw(stream.symbol), self.millis, 303, body)

    def _kline(self, stream: Stream) -> Iterable[bytes]:
        item = self.exchange.instrument(stream.symbol)
        bars = self.exchange.bars(stream.symbol, _STREAM_INTERVALS[stream.argument], limit=2)
        # The candle before is sent once more when a new one has begun, so that its end is not missed.
        for bar in bars[-1:] if not bars or stream.last in (None, bars[-1].open_ts) else bars:
            body: list[Field] = [
                (1, stream.argument),
                (2, bar.open_ts // SECOND),
                (3, item.price_text(bar.open)),
                (4, item.price_text(bar.close)),
                (5, item.price_text(bar.high)),
                (6, item.price_text(bar.low)),
                (7, item.size_text(bar.volume)),
                (8, item.notional_text(bar.amount)),
                (9, bar.close_ts // SECOND),
            ]
            stream.last = bar.open_ts
            yield push(stream.name, self._raw(stream.symbol), 0, 308, body, created=self.millis)

    def _tickers(self, stream: Stream) -> Iterable[bytes]:
        if stream.kind == "ticker":
            body = self._mini(self.exchange.instrument(stream.symbol))
            yield push(stream.name, self._raw(stream.symbol), self.millis, 309, body)
            return
        rows: list[Field] = [(1, message(self._mini(item))) for item in self.exchange.instruments]
        yield push(stream.name, "", self.millis, 310, rows)

    def _mini(self, item: SimInstrument) -> list[Field]:
        day = self.exchange.day(item.symbol)
        rate = f"{(day.last - day.open) / day.open:.4f}" if day.open else "0"
        return [
            (1, self._raw(item.symbol)),
            (2, item.price_text(day.last)),
            (3, rate),
            (4, rate),
            (5, item.price_text(day.high)),
            (6, item.price_text(day.low)),
            (7, item.notional_text(day.amount)),
            (8, item.size_text(day.volume)),
        ]

    @staticmethod
    def _best(item: SimInstrument, best: BestPrices) -> list[Field]:
        return [
            (1, item.price_text(best.bid)),
            (2, item.size_text(best.bid_size)),
            (3, item.price_text(best.ask)),
            (4, item.size_text(best.ask_size)),
        ]

    def weight(self, path: str) -> int:
        """The newer weights of the venue."""
        heavy = {"exchangeInfo": 25, "24hr": 25, "depth": 3, "trades": 5}
        return heavy.get(path.rpartition("/")[2], 1)

    def answer(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """Answer a public request."""
        match path.removeprefix("/api/v3/"):
            case "ping":
                return _ok({})
            case "time":
                return _ok({"serverTime": self.millis})
            case "exchangeInfo":
                return _ok(
                    {
                        "timezone": "CST",
                        "serverTime": self.millis,
                        "symbols": [*map(self._row, self.exchange.instruments)],
                    }
                )
            case "defaultSymbols":
                return _ok(
                    {"code": 0, "data": [self._raw(i.symbol) for i in self.exchange.instruments], "msg": "success"}
                )
            case "depth":
                return self._book(path, parameters)
            case "trades":
                return self._trades(parameters)
            case "klines":
                return self._klines(parameters)
            case "ticker/24hr":
                return self._day(parameters)
            case _:
                raise Refusal(HttpResponse(404, encode({"code": 404, "msg": "Not Found"})))

    def _book(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        item = self._asked(parameters)
        image = self.exchange.book(item.symbol, _count(parameters, 100, 5000), lag=self.lag(path))
        sides = {
            name: [[item.price_text(price), item.size_text(size)] for price, size in side]
            for name, side in (("bids", image.bids), ("asks", image.asks))
        }
        return _ok({"lastUpdateId": image.seq, **sides, "timestamp": self.millis})

    def _trades(self, parameters: Mapping[str, str]) -> HttpResponse:
        item = self._asked(parameters)
        rows = [
            {
                "id": None,
                "price": item.price_text(trade.price),
                "qty": item.size_text(trade.size),
                "quoteQty": item.notional_text(trade.price * trade.size),
                "time": trade.ts // MILLIS,
                "isBuyerMaker": trade.taker == "sell",
                "isBestMatch": True,
                "tradeType": "BID" if trade.taker == "buy" else "ASK",
            }
            for trade in self.exchange.trades(item.symbol, _count(parameters, 500, 1000))
        ]
        return _ok(rows[::-1])

    def _klines(self, parameters: Mapping[str, str]) -> HttpResponse:
        item = self._asked(parameters)
        interval = _REST_INTERVALS.get(parameters.get("interval", ""))
        if interval is None:
            raise _refusal(-1121, "Invalid interval.")
        start, end = parameters.get("startTime"), parameters.get("endTime")
        bars = self.exchange.bars(
            item.symbol,
            interval,
            start=None if start is None else int(start) * MILLIS,
            end=None if end is None else (int(end) + 1) * MILLIS,
            limit=_count(parameters, 500, 1000),
        )
        return _ok(
            [
                [
                    bar.open_ts // MILLIS,
                    *(item.price_text(price) for price in (bar.open, bar.high, bar.low, bar.close)),
                    item.size_text(bar.volume),
                    bar.close_ts // MILLIS,
                    item.notional_text(bar.amount),
                ]
                for bar in bars
            ]
        )

    def _day(self, parameters: Mapping[str, str]) -> HttpResponse:
        if "symbol" in parameters:
            return _ok(self._day_row(self._asked(parameters)))
        return _ok([self._day_row(item) for item in self.exchange.instruments])

    def _day_row(self, item: SimInstrument) -> dict[str, object]:
        day, best = self.exchange.day(item.symbol), self.exchange.best(item.symbol)
        return {
            "symbol": self._raw(item.symbol),
            "priceChangePercent": f"{(day.last - day.open) / day.open:.8f}" if day.open else "0",
            "lastPrice": item.price_text(day.last),
            "bidPrice": item.price_text(best.bid),
            "bidQty": "",
            "askPrice": item.price_text(best.ask),
            "askQty": "",
            "openPrice": item.price_text(day.open),
            "highPrice": item.price_text(day.high),
            "lowPrice": item.price_text(day.low),
            "volume": item.size_text(day.volume),
            "quoteVolume": item.notional_text(day.amount),
            "openTime": day.open_ts // MILLIS,
            "closeTime": day.close_ts // MILLIS,
            "count": None,
        }

    def _row(self, item: SimInstrument) -> dict[str, object]:
        return {
            "symbol": self._raw(item.symbol),
            "status": "1",
            "baseAsset": item.base,
            "baseAssetPrecision": item.step_scale,
            "quoteAsset": item.quote,
            "quotePrecision": item.tick_scale,
            "quoteAssetPrecision": item.tick_scale,
            "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
            "isSpotTradingAllowed": True,
            "quoteAmountPrecision": "1",
            "baseSizePrecision": item.size_text(1),
            "permissions": ["SPOT"],
            "filters": [],
            "makerCommission": "0",
            "takerCommission": "0.0005",
            "tradeSideType": 1,
        }

    def _asked(self, parameters: Mapping[str, str]) -> SimInstrument:
        raw = parameters.get("symbol", "")
        if not self._known(raw):
            raise _refusal(-1121, "Invalid symbol.")
        return self.exchange.instrument(self._unified(raw))

    def _raw(self, symbol: str) -> str:
        return symbol.replace("/", "")

    def _known(self, raw: str) -> bool:
        return any(self._raw(item.symbol) == raw for item in self.exchange.instruments)

    def _unified(self, raw: str) -> str:
        return next(item.symbol for item in self.exchange.instruments if self._raw(item.symbol) == raw)


def _level(item: SimInstrument, price: int, size: int) -> bytes:
    return message([(1, item.price_text(price)), (2, item.size_text(size))])


def _count(parameters: Mapping[str, str], default: int, most: int) -> int:
    text = parameters.get("limit", "")
    return max(1, min(int(text), most)) if text.isdigit() else default


def _ok(body: object) -> HttpResponse:
    return HttpResponse(200, encode(body), (("content-type", "application/json"),))


def _refusal(code: int, text: str) -> Refusal:
    return Refusal(HttpResponse(400, encode({"code": code, "msg": text}), (("content-type", "application/json"),)))
