"""The futures face: acknowledgements that name no contract, merged and unmerged depth, and the ping it insists on.

One step of an instrument is one contract. Settings: ``gzip`` = ``on`` sends pushes compressed.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from unitape.spi import HttpResponse
from unitape.spi.simulation import Binary, BookChange, FaceOutput, SimInstrument, SimTrade, Text, fixed
from unitape_mexc.simulator_base import MILLIS, SECOND, BaseFace, Connection, Refusal, Stream, encode
from unitape_mexc.simulator_pushes_futures import CHANNELS
from unitape_mexc.simulator_streams import Watch
from unitape_schemas import Interval

__all__ = ["FuturesFace"]

_PATIENCE: Final = 60 * SECOND
_INTERVALS: Final[Mapping[str, Interval]] = {
    "Min1": "1m", "Min5": "5m", "Min15": "15m", "Min30": "30m", "Min60": "1h", "Hour4": "4h", "Hour8": "8h",
    "Day1": "1d", "Week1": "1w", "Month1": "1M",
}  # fmt: skip
_EVERY: Final[Mapping[str, int]] = {
    "deal": 50 * MILLIS,
    "depth": 200 * MILLIS,
    "depth.full": 250 * MILLIS,
    "ticker": 3 * SECOND,
    "tickers": 2 * SECOND,
    "kline": SECOND,
    "funding.rate": 30 * SECOND,
    "index.price": SECOND,
    "fair.price": SECOND,
}
_LIMITS: Final = (5, 10, 20)


class _Filter(msgspec.Struct):
    filter: str
    rules: list[str] = []


class _Param(msgspec.Struct, rename="camel"):
    symbol: str = ""
    interval: str = ""
    limit: int = 20
    compress: bool = True
    api_key: str = ""
    req_time: str | int = ""
    signature: str = ""
    filters: list[_Filter] = []


class _Request(msgspec.Struct):
    method: str
    param: _Param = msgspec.field(default_factory=_Param)
    subscribe: bool = True


class _Refusal(msgspec.Struct):
    code: int
    message: str


class FuturesFace(BaseFace):
    """MEXC perpetuals."""

    path = "/edge"
    market = "futures"

    def take(self, connection: Connection, text: str) -> None:
        """Take ping, sub.* and unsub.*; anything else gets no reply at all."""
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.MsgspecError:
            return
        if request.method == "ping":
            connection.pinged = self.now
            self.say(connection, {"channel": "pong", "data": self.millis, "ts": self.millis})
            return
        if request.method == "login":
            self._login(connection, request)
            return
        if request.method == "personal.filter":
            self._filter(connection, request)
            return
        verb, _, name = request.method.partition(".")
        if verb not in ("sub", "unsub") or name not in _EVERY:
            return
        if verb == "unsub":
            for stream in list(connection.streams.values()):
                asked = stream.argument in ("", request.param.interval) or not request.param.interval
                same = stream.symbol == (self._unified(request.param.symbol) or "")
                if stream.name.split(" ")[0] == name and same and asked:
                    self.leave(connection, stream.name)
            self._acknowledge(connection, request.method)
            return
        self._subscribe(connection, name, request)

    def _login(self, connection: Connection, request: _Request) -> None:
        param = request.param
        try:
            user = self.private.known(param.api_key, str(param.req_time), "", param.signature)
        except Refusal as refused:
            said = msgspec.json.decode(refused.response.body, type=_Refusal)
            self._complain(connection, f"{said.message} (code {said.code})")
            return
        watch = self.watches[connection.id] = Watch(user)
        watch.start(self.exchange.accounts)
        if request.subscribe:
            watch.wanted = set(CHANNELS)
        self._acknowledge(connection, request.method)

    def _filter(self, connection: Connection, request: _Request) -> None:
        """The newest filter takes the place of the one before; one that names nothing lets everything through."""
        watch = self.watches.get(connection.id)
        unknown = [row.filter for row in request.param.filters if row.filter not in CHANNELS]
        if watch is None or unknown:
            self._complain(connection, f"filter {unknown[0]} not exists" if unknown else "please login first")
            return
        watch.wanted = {row.filter for row in request.param.filters} or set(CHANNELS)
        watch.filters = {row.filter: frozenset(row.rules) for row in request.param.filters if row.rules}
        self._acknowledge(connection, request.method)

    def _complain(self, connection: Connection, said: str) -> None:
        self.say(connection, {"channel": "rs.error", "data": said, "ts": self.millis})

    def _subscribe(self, connection: Connection, name: str, request: _Request) -> None:
        param = request.param
        symbol = self._unified(param.symbol) if name != "tickers" else ""
        if symbol is None or self.options.faults.take("refused_subscribe", f"{name} {param.symbol}") is not None:
            said = f"Contract [{param.symbol}] not exists"
            self._complain(connection, said)
            return
        argument = ""
        if name == "kline":
            argument = param.interval
            if argument not in _INTERVALS:
                self._complain(connection, "interval error")
                return
        elif name == "depth":
            argument = "merged" if param.compress else "single"
        elif name == "depth.full":
            argument = str(param.limit if param.limit in _LIMITS else 20)
        if name in ("depth", "depth.full"):
            # One form and one level size at a time per contract: the newer request takes the place of the older.
            for stream in list(connection.streams.values()):
                if stream.name.startswith(f"{name} {param.symbol} ") and stream.argument != argument:
                    self.leave(connection, stream.name)
        kind = {"depth": "depth", "deal": "deals"}.get(name, name)
        stream = Stream(f"{name} {param.symbol} {argument}", kind, symbol, argument, _EVERY[name])
        if name in ("funding.rate", "ticker"):
            stream.next = self.now
        self.join(connection, stream)
        self._acknowledge(connection, request.method)

    def _acknowledge(self, connection: Connection, method: str) -> None:
        self.say(connection, {"channel": f"rs.{method}", "data": "success", "ts": self.millis})

    def frame(self, conn: int, data: bytes, stream: str) -> FaceOutput:
        """Text, or gzip where the setting says so."""
        if self.options.settings.get("gzip") == "on":
            return Binary(conn, gzip.compress(data, 1, mtime=0), stream)
        return Text(conn, data, stream)

    def silent_too_long(self, connection: Connection) -> str | None:
        """60 s without a client's ping, however busy the streams are."""
        if self.now - connection.pinged < _PATIENCE:
            return None
        said = "more than 60 seconds no response, close the channel"
        self._complain(connection, said)
        return "no ping"

    def render(self, stream: Stream) -> Iterable[bytes]:
        """Return the pushes that are due."""
        name = stream.name.split(" ")[0]
        for data in self._data(name, stream):
            head: dict[str, object] = {"channel": f"push.{name}", "data": data, "ts": self.millis}
            if stream.symbol:
                head["symbol"] = self._raw(stream.symbol)
            yield encode(head)

    def _data(self, name: str, stream: Stream) -> Iterable[object]:
        if name == "tickers":
            return [[self._ticker(item) for item in self.exchange.instruments]]
        item = self.exchange.instrument(stream.symbol)
        match name:
            case "deal":
                trades, stream.trades = stream.trades, []
                return [[_deal(item, trade) for trade in trades]] if trades else []
            case "depth":
                changes, stream.pending = stream.pending, []
                if stream.argument == "single":
                    return [{**_changes(item, [change]), "version": change.seq} for change in changes]
                return [_merged(item, changes)] if changes else []
            case "depth.full":
                image = self.exchange.book(stream.symbol, int(stream.argument))
                if image.seq == stream.last:
                    return []
                stream.last = image.seq
                sides = {"asks": _levels(item, image.asks), "bids": _levels(item, image.bids)}
                return [{**sides, "version": image.seq, "cts": image.ts // MILLIS}]
            case "kline":
                return self._kline(item, stream)
            case "ticker":
                return [self._ticker(item)]
            case "funding.rate":
                state = self.exchange.perpetual(stream.symbol)
                rate, following = Raw(fixed(state.rate_e8, 8).encode()), state.next_funding // MILLIS
                return [{"symbol": self._raw(stream.symbol), "rate": rate, "nextSettleTime": following}]
            case _:
                state = self.exchange.perpetual(stream.symbol)
                price = state.index_e8 if name == "index.price" else state.mark_e8
                if price == stream.last:
                    return []
                stream.last = price
                return [{"symbol": self._raw(stream.symbol), "price": Raw(fixed(price, 8).encode())}]

    def _kline(self, item: SimInstrument, stream: Stream) -> list[dict[str, object]]:
        bars = self.exchange.bars(stream.symbol, _INTERVALS[stream.argument], limit=2)
        rows: list[dict[str, object]] = []
        for bar in bars[-1:] if not bars or stream.last in (None, bars[-1].open_ts) else bars:
            stream.last = bar.open_ts
            rows.append(
                {
                    "symbol": self._raw(stream.symbol),
                    "interval": stream.argument,
                    "t": bar.open_ts // SECOND,
                    "o": _price(item, bar.open),
                    "h": _price(item, bar.high),
                    "l": _price(item, bar.low),
                    "c": _price(item, bar.close),
                    "q": bar.volume,
                    "a": Raw(item.notional_text(bar.amount).encode()),
                }
            )
        return rows

    def _ticker(self, item: SimInstrument) -> dict[str, object]:
        day, best = self.exchange.day(item.symbol), self.exchange.best(item.symbol)
        state = self.exchange.perpetual(item.symbol)
        rate = (day.last - day.open) * 10_000 // day.open if day.open else 0
        return {
            "symbol": self._raw(item.symbol),
            "lastPrice": _price(item, day.last),
            "bid1": _price(item, best.bid),
            "ask1": _price(item, best.ask),
            "fairPrice": Raw(fixed(state.mark_e8, 8).encode()),
            "indexPrice": Raw(fixed(state.index_e8, 8).encode()),
            "fundingRate": Raw(fixed(state.rate_e8, 8).encode()),
            "holdVol": state.open_interest,
            "volume24": day.volume,
            "amount24": Raw(item.notional_text(day.amount).encode()),
            "high24Price": _price(item, day.high),
            "lower24Price": _price(item, day.low),
            "riseFallRate": Raw(fixed(rate, 4).encode()),
            "timestamp": self.millis,
        }

    def budget(self) -> tuple[int, int]:
        """20 requests in 2 s."""
        return 20, 2 * SECOND

    def throttled(self, seconds: float) -> HttpResponse:
        """A refusal with status 200, as most of this market's are."""
        return _envelope({"success": False, "code": 510, "message": "Requests are too frequent"})

    def answer(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """Answer a public request."""
        parts = path.removeprefix("/api/v1/contract/").split("/")
        match parts:
            case ["ping"]:
                return _data(self.millis)
            case ["detail"]:
                wanted = parameters.get("symbol")
                if wanted is not None:
                    return _data(self._row(self._asked(wanted)))
                return _data([self._row(item) for item in self.exchange.instruments])
            case ["depth", raw]:
                item = self._asked(raw)
                image = self.exchange.book(item.symbol, _count(parameters, 1000), lag=self.lag(path))
                sides = {"asks": _levels(item, image.asks), "bids": _levels(item, image.bids)}
                return _data({**sides, "version": image.seq, "timestamp": image.ts // MILLIS})
            case ["depth_commits", raw, count] if count.isdigit():
                return self._commits(self._asked(raw), int(count))
            case ["deals", raw]:
                item = self._asked(raw)
                trades = self.exchange.trades(item.symbol, min(_count(parameters, 100), 100))
                return _data([_deal(item, trade) for trade in reversed(trades)])
            case ["kline", raw]:
                return self._columns(self._asked(raw), parameters)
            case ["ticker"]:
                wanted = parameters.get("symbol")
                if wanted is not None:
                    return _data(self._ticker(self._asked(wanted)))
                return _data([self._ticker(item) for item in self.exchange.instruments])
            case ["funding_rate", "history"]:
                return self._history(self._asked(parameters.get("symbol", "")), parameters)
            case _:
                raise Refusal(HttpResponse(404, b"", ()))

    def _commits(self, item: SimInstrument, count: int) -> HttpResponse:
        self.pull()
        changes = list(self.commits.get(item.symbol, ()))[-min(count, 1000) :]
        # Newest first: the order is not promised.
        return _data([{**_changes(item, [change]), "version": change.seq} for change in reversed(changes)])

    def _columns(self, item: SimInstrument, parameters: Mapping[str, str]) -> HttpResponse:
        interval = _INTERVALS.get(parameters.get("interval", "Min1"))
        if interval is None:
            raise Refusal(_envelope({"success": False, "code": 600, "message": "Parameter error"}))
        start, end = parameters.get("start"), parameters.get("end")
        bars = self.exchange.bars(
            item.symbol,
            interval,
            start=None if start is None else int(start) * SECOND,
            end=None if end is None else (int(end) + 1) * SECOND,
            limit=2000,
        )
        return _data(
            {
                "time": [bar.open_ts // SECOND for bar in bars],
                "open": [_price(item, bar.open) for bar in bars],
                "close": [_price(item, bar.close) for bar in bars],
                "high": [_price(item, bar.high) for bar in bars],
                "low": [_price(item, bar.low) for bar in bars],
                "vol": [bar.volume for bar in bars],
                "amount": [Raw(item.notional_text(bar.amount).encode()) for bar in bars],
            }
        )

    def _history(self, item: SimInstrument, parameters: Mapping[str, str]) -> HttpResponse:
        size = int(parameters.get("page_size", "20"))
        page = int(parameters.get("page_num", "1"))
        found = self.exchange.settlements(item.symbol, limit=size * page)[::-1]
        rows = [
            {
                "symbol": self._raw(item.symbol),
                "fundingRate": Raw(fixed(row.rate_e8, 8).encode()),
                "collectCycle": self.exchange.perpetual(item.symbol).funding_hours,
                "settleTime": row.ts // MILLIS,
            }
            for row in found[size * (page - 1) :]
        ]
        return _data({"pageSize": size, "totalCount": len(found), "currentPage": page, "resultList": rows})

    def _row(self, item: SimInstrument) -> dict[str, object]:
        return {
            "symbol": self._raw(item.symbol),
            "displayNameEn": f"{self._raw(item.symbol)} PERPETUAL",
            "baseCoin": item.base,
            "quoteCoin": item.quote,
            "settleCoin": item.settle,
            "contractSize": Raw(item.size_text(1).encode()),
            "priceUnit": Raw(item.price_text(1).encode()),
            "volUnit": 1,
            "minVol": 1,
            "maxVol": 1_000_000,
            "takerFeeRate": 0.0002,
            "makerFeeRate": 0,
            "state": 0,
            "isHidden": False,
            "apiAllowed": True,
            "futureType": 1,
        }

    def _asked(self, raw: str) -> SimInstrument:
        symbol = self._unified(raw)
        if symbol is None:
            raise Refusal(_envelope({"success": False, "code": 1001, "message": "Contract does not exist!"}))
        return self.exchange.instrument(symbol)

    def _raw(self, symbol: str) -> str:
        return symbol.partition(":")[0].replace("/", "_")

    def _unified(self, raw: str) -> str | None:
        return next((item.symbol for item in self.exchange.instruments if self._raw(item.symbol) == raw), None)


def _price(item: SimInstrument, ticks: int) -> Raw:
    return Raw(item.price_text(ticks).encode())


def _levels(item: SimInstrument, levels: Sequence[tuple[int, int]]) -> list[list[object]]:
    # The number of orders behind a level is not simulated: one where there is any size.
    return [[_price(item, price), size, 1 if size else 0] for price, size in levels]


def _changes(item: SimInstrument, changes: Sequence[BookChange]) -> dict[str, object]:
    newest = {(change.side, change.price): change.size for change in changes}
    asks = [(price, size) for (side, price), size in newest.items() if side == "sell"]
    bids = [(price, size) for (side, price), size in newest.items() if side == "buy"]
    return {"asks": _levels(item, asks), "bids": _levels(item, bids), "cts": changes[-1].ts // MILLIS}


def _merged(item: SimInstrument, changes: Sequence[BookChange]) -> dict[str, object]:
    last = changes[-1].seq
    return {**_changes(item, changes), "begin": changes[0].seq, "end": last, "version": last}


def _deal(item: SimInstrument, trade: SimTrade) -> dict[str, object]:
    time = trade.ts // MILLIS
    side = 1 if trade.taker == "buy" else 2
    number = str(16_270_106_116 + 3 * trade.id)
    return {"p": _price(item, trade.price), "v": trade.size, "T": side, "O": 3, "M": 2, "t": time, "i": number}


def _count(parameters: Mapping[str, str], most: int) -> int:
    text = parameters.get("limit", "")
    return max(1, min(int(text), most)) if text.isdigit() else most


def _data(data: object) -> HttpResponse:
    return _envelope({"success": True, "code": 0, "data": data})


def _envelope(body: dict[str, object]) -> HttpResponse:
    return HttpResponse(200, encode(body), (("content-type", "application/json"),))
