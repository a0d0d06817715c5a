"""Quarry: a scripted venue that says exactly what a test wants, written against the venue interface alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from unitape.errors import ExchangeUnavailable, InvalidSymbol, RateLimited, Unsupported, WireError
from unitape.spi import (
    ChannelSpec,
    Closing,
    Codec,
    Confirmed,
    Continuity,
    DepthUpdate,
    Endpoint,
    Fit,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    Instruments,
    Limits,
    Query,
    Refused,
    StreamState,
    Unmapped,
    Venue,
)
from unitape_schemas import Candle, Channel, Instrument, OpenInterest, Subscription, Ticker, Trade

NAME = "quarry"
MINUTE = 60_000_000_000
HEARTBEAT = Heartbeat("protocol", 20.0, 60.0, 60.0)
SYMBOLS = tuple(f"{base}/EUR" for base in ("BTC", "ETH", "XRP", *(f"C{n:03}" for n in range(400))))


def limits(**changes: Any) -> Limits:
    settings: dict[str, Any] = {
        "subscriptions_per_connection": 3,
        "params_per_message": 100,
        "messages_per_second": 10.0,
        "connects_per_window": 1000,
        "connect_window": 60.0,
        "connections_per_host": None,
        "lifetime": None,
        "confirm_within": 5.0,
        "max_frame": 10_000,
    }
    return Limits(**{**settings, **changes})


def channels(continuity: Continuity = "sequence", *, refill: bool = True) -> dict[Channel, ChannelSpec]:
    return {
        "trades": ChannelSpec("trades", "trades", continuity, stale_after=30.0, refill=refill),
        "book": ChannelSpec("book", "book", "sequence", stale_after=30.0),
        "ticker": ChannelSpec("ticker", "ticker", "none", all_symbols=True),
        "candles": ChannelSpec("candles", "candles", "none", intervals=("1m", "1h"), closes=False),
        "open_interest": ChannelSpec("open_interest", "/oi", "none", route="", poll=10.0, stale_after=60.0),
        "liquidations": ChannelSpec("liquidations", "liq", "none", route="other"),
    }


def instrument(symbol: str) -> Instrument:
    base, quote = symbol.split("/")
    one = Decimal(1)
    return Instrument(
        NAME, symbol, base + quote, "spot", base, quote, None, "spot", one, one, one, None, None, None, 1, "trading",
        None, None, None, 0,
    )  # fmt: skip


INSTRUMENTS = [instrument(symbol) for symbol in SYMBOLS]


# What the venue sends.


def trade(number: int | str, *, symbol: str = "BTC/EUR", ts: int | None = None) -> bytes:
    at = ts if ts is not None else (int(number) if str(number).isdigit() else 0) * 1_000_000
    return json.dumps({"trade": symbol.replace("/", ""), "id": str(number), "t": at}).encode()


def many(*messages: bytes) -> bytes:
    return json.dumps({"many": [json.loads(message) for message in messages]}).encode()


def depth(seq: int, price: int = 100, size: int = 1, *, symbol: str = "BTC/EUR") -> bytes:
    return json.dumps({"depth": symbol.replace("/", ""), "seq": seq, "bids": [[price, size]], "asks": []}).encode()


def ticker(last: int, *, symbol: str = "BTC/EUR") -> bytes:
    return json.dumps({"ticker": symbol.replace("/", ""), "last": last}).encode()


def candle(minute: int, close: int, *, symbol: str = "BTC/EUR") -> bytes:
    return json.dumps({"candle": symbol.replace("/", ""), "minute": minute, "close": close}).encode()


def ok(*subscriptions: Subscription) -> bytes:
    return json.dumps({"ok": [s.key for s in subscriptions]}).encode()


def no(subscription: Subscription | None, why: str, *others: Subscription) -> bytes:
    keys = [s.key for s in (subscription, *others) if s is not None]
    return json.dumps({"no": keys or None, "why": why}).encode()


def other(name: str) -> bytes:
    return json.dumps({"other": name}).encode()


def bye(text: str, *, rotate: bool = True) -> bytes:
    return json.dumps({"bye": text, "rotate": rotate}).encode()


def image(seq: int, bids: int = 100, asks: int = 200) -> HttpResponse:
    return HttpResponse(200, json.dumps({"seq": seq, "bids": [[bids, 5]], "asks": [[asks, 5]]}).encode())


def rows(*numbers: int | str) -> HttpResponse:
    return HttpResponse(200, b"[" + b",".join(trade(number) for number in numbers) + b"]")


@dataclass
class QuarrySession:
    instruments: Instruments
    outbox: list[str | bytes] = field(default_factory=list)
    streams: dict[Subscription, StreamState] = field(default_factory=dict)
    ping_every: int | None = None
    numbered: bool = False
    _pinged: int = 0

    def on_open(self) -> None:
        self.outbox.append("HELLO")

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.streams.setdefault(subscription, StreamState(subscription))
        self.outbox.append("SUB " + ",".join(s.key for s in subscriptions))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.streams.pop(subscription, None)
        self.outbox.append("END " + ",".join(s.key for s in subscriptions))

    def on_tick(self, now: int) -> Sequence[Any]:
        if self.ping_every is not None and now - self._pinged >= self.ping_every:
            self._pinged = now
            self.outbox.append("PING")
        return ()

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Any]:
        try:
            said = json.loads(data)
            return self._read(said, ts_recv)
        except (ValueError, KeyError) as error:
            raise WireError(str(error), data, venue=NAME) from None

    def _read(self, said: dict[str, Any], ts: int) -> Sequence[Any]:
        if "explode" in said:
            raise RuntimeError("a fault in the reader")
        if "ping" in said:
            self.outbox.append("PONG")
            return ()
        if "ok" in said:
            return (Confirmed(tuple(s for s in self.streams if s.key in said["ok"]), json.dumps(said)),)
        if "no" in said:
            if said["no"] is None:
                return (Refused(None, said["why"], "7", json.dumps(said)),)
            gone = tuple(s for s in self.streams if s.key in said["no"])
            for subscription in gone:
                del self.streams[subscription]
            return (Refused(gone, said["why"], "7", json.dumps(said)),)
        if "other" in said:
            return (Unmapped(said["other"]),)
        if "bye" in said:
            return (Closing(said["bye"], said["rotate"]),)
        if "many" in said:
            events = [event for one in said["many"] for event in self._read(one, ts)]
            for state in self.streams.values():
                state.number = None
            return events
        event = read_event(said, self.instruments, ts)
        for subscription, state in self.streams.items():
            if subscription.channel == _channel(said) and subscription.symbol in (event.symbol, "*"):
                state.touched = ts
                if self.numbered and isinstance(event, Trade):
                    state.number = int(event.id) if event.id.isdecimal() else None
        return (event,)


def _channel(said: dict[str, Any]) -> str:
    return {"trade": "trades", "depth": "book", "ticker": "ticker", "candle": "candles"}[next(iter(said))]


def read_event(said: dict[str, Any], instruments: Instruments, ts: int) -> Any:
    kind = next(iter(said))
    symbol = instruments.symbol(said[kind])
    if kind == "trade":
        return Trade(NAME, symbol, said["t"], 0, ts, said["id"], 1.0, 1.0, "buy")
    if kind == "depth":
        bids, asks = (tuple((float(p), float(s)) for p, s in said[side]) for side in ("bids", "asks"))
        return DepthUpdate(NAME, symbol, 0, 0, ts, bids, asks, said["seq"], said["seq"], said["seq"] - 1)
    if kind == "ticker":
        return Ticker(NAME, symbol, 0, 0, ts, float(said["last"]), *([None] * 10))
    opened = said["minute"] * MINUTE
    price = float(said["close"])
    return Candle(
        NAME, symbol, 0, 0, ts, "1m", opened, opened + MINUTE, price, price, price, price, 1.0, None, None, False
    )


class QuarryRule:
    snapshot = "request"
    wait_for = 0
    keep = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        return _fit(snapshot_seq, update.seq)

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        return _fit(last.seq, update.seq)


def _fit(last: int, seq: int) -> Fit:
    return Fit.STALE if seq <= last else Fit.APPLY if seq == last + 1 else Fit.GAP


@dataclass
class QuarryRest:
    market: QuarryMarket
    instruments_known: Instruments

    def _query(self, name: str, path: str, read: Any, query: str = "") -> Query[Any]:
        request = HttpRequest("GET", path, query, weight=self.market.weights.get(name, 1))

        def answer(response: HttpResponse, ts: int) -> Any:
            if response.status != 200:
                raise self.market.read_error(response, request)
            return read(json.loads(response.body), ts)

        return Query(name, request, answer)

    def instruments(self) -> Query[Any]:
        return self._query("instruments", "/instruments", lambda body, ts: [instrument(symbol) for symbol in body])

    def depth(self, symbol: str, levels: int | None = None) -> Query[Any]:
        def read(body: dict[str, Any], ts: int) -> DepthUpdate:
            bids, asks = (tuple((float(p), float(s)) for p, s in body[side]) for side in ("bids", "asks"))
            return DepthUpdate(NAME, symbol, 0, 0, ts, bids, asks, None, body["seq"], None, True, 1000)

        return self._query("depth", "/depth", read, f"s={symbol}")

    def repair(self, symbol: str, after: int) -> None:
        return None

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[Any]:
        def read(body: list[dict[str, Any]], ts: int) -> list[Trade]:
            return [read_event(row, self.instruments_known, ts) for row in body]

        return self._query("trades_since", "/trades", read, f"after={trade_id}")

    def poll(self, subscription: Subscription) -> Query[Any]:
        def read(body: dict[str, Any], ts: int) -> list[OpenInterest]:
            return [OpenInterest(NAME, subscription.symbol, 0, 0, ts, float(body["oi"]))]

        return self._query("poll", "/oi", read)

    def candles(
        self,
        symbol: str,
        interval: str,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[Any]:
        def read(body: list[int], ts: int) -> list[Candle]:
            return [
                read_event(json.loads(candle(minute, 1, symbol=symbol)), self.instruments_known, ts) for minute in body
            ]

        return self._query("candles", "/candles", read, f"start={start}&end={end}&limit={limit}")

    def page_limit(self, query: str) -> int:
        return 3

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(f"no {name}")


@dataclass(frozen=True)
class QuarryMarket:
    channels: Mapping[Channel, ChannelSpec] = field(default_factory=channels)
    limits: Limits = field(default_factory=limits)
    heartbeat: Heartbeat = HEARTBEAT
    weights: Mapping[str, int] = field(default_factory=dict)
    ping_every: int | None = None
    numbered: bool = False
    """Its sessions tell the numbers of trades beside the trades."""
    venue: str = NAME
    name: str = "spot"
    aliases: tuple[str, ...] = ()
    endpoints: Mapping[str, Endpoint] = field(
        default_factory=lambda: {
            "live": Endpoint("http://quarry.test", {"public": "ws://quarry.test/p", "other": "ws://quarry.test/o"})
        }
    )
    book_rule: QuarryRule = field(default_factory=QuarryRule)
    catalogue: Sequence[Instrument] = tuple(INSTRUMENTS)

    def owns(self, symbol: str) -> bool:
        return symbol.endswith("/EUR")

    def cost(self, subscription: Subscription) -> int:
        return 2 if subscription.channel == "candles" else 1

    def codec(self, instruments: Instruments) -> Codec:
        raise Unsupported("not needed here")

    def session(self, instruments: Instruments, route: str) -> QuarrySession:
        return QuarrySession(instruments, ping_every=self.ping_every, numbered=self.numbered)

    def rest(self, instruments: Instruments) -> Any:
        return QuarryRest(self, instruments)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        return [instrument(symbol) for symbol in json.loads(body)]

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        text = response.body.decode()
        if response.status == 429:
            after = response.header("retry-after")
            return RateLimited(text, venue=NAME, status=429, retry_after=float(after) if after else None)
        if response.status >= 500:
            return ExchangeUnavailable(text, venue=NAME, status=response.status)
        return InvalidSymbol(text, venue=NAME, code="-1", status=response.status)


def venue(market: QuarryMarket | None = None) -> Venue:
    return Venue(NAME, "Quarry", (market or QuarryMarket(),))
