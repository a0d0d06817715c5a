"""Pebble, a venue that does not exist: lines of text, lots instead of base units, in-band snapshots.

Everything here uses the public interface of ``unitape.spi`` alone. It is the example of the page
"Writing an adapter", and it differs from the real venues on purpose.

The protocol, in full:

- ``SUB <id> trades|book BTC-EUR`` is answered ``OK <id>`` or ``NO <id> <reason>``; ``END <id> <channel> <pair>`` stops.
- ``T BTC-EUR 17 1723075200.125 63001.5 25 B`` is trade 17: time in seconds, price, lots, taker side B or S.
- ``I BTC-EUR 100 63000:5,62999:2 63001:7`` is the image of a book at sequence 100, sent after subscribing.
- ``D BTC-EUR 101 63000:0 -`` is change 101: absolute lots, 0 removes, ``-`` is an empty side.
- ``? 8`` is the server's heartbeat; the answer is ``! 8``.
- ``GET /pairs`` answers lines of ``pair,tick,lot,open|shut``; one lot of BTC-EUR is 0.01 BTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NoReturn

from unitape.errors import InvalidSymbol, Unsupported, WireError
from unitape.spi import (
    SECOND,
    ChannelSpec,
    Codec,
    Confirmed,
    DepthUpdate,
    Endpoint,
    Fit,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    Instruments,
    Limits,
    Outgoing,
    Output,
    Query,
    Refused,
    Rest,
    Session,
    StreamState,
    Venue,
)
from unitape_schemas import (
    Candle,
    Channel,
    Event,
    Funding,
    Instrument,
    Interval,
    Levels,
    Side,
    Subscription,
    Ticker,
    Trade,
)

NAME = "pebble"

# --8<-- [start:tables]
CHANNELS: dict[Channel, ChannelSpec] = {
    "trades": ChannelSpec("trades", native="trades <s>", continuity="sequence", stale_after=60.0),
    "book": ChannelSpec("book", native="book <s>", continuity="sequence", stale_after=30.0),
}
LIMITS = Limits(
    subscriptions_per_connection=4,
    params_per_message=1,
    messages_per_second=10.0,
    connects_per_window=60,
    connect_window=60.0,
    connections_per_host=None,
    lifetime=3600.0,
    confirm_within=5.0,
    source="the docstring of this file",
)
HEARTBEAT = Heartbeat("server", interval=10.0, silence=35.0, deadline=30.0)
SIDES: dict[str, Side] = {"B": "buy", "S": "sell"}
# --8<-- [end:tables]


# --8<-- [start:codec]
@dataclass(frozen=True)
class PebbleCodec:
    """Reads one line. The instrument says what a lot is, so the codec holds the instruments."""

    instruments: Instruments

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one line says."""
        try:
            line = data if isinstance(data, str) else data.decode("ascii")
            kind, *words = line.split(" ")
            reader = READERS.get(kind)
            if reader is None:
                raise WireError(f"unknown line {kind[:8]!r}", data, venue=NAME)
            return reader(self, words, ts_recv)
        except (ValueError, KeyError, UnicodeDecodeError, ArithmeticError) as error:
            raise WireError(str(error), data, venue=NAME) from None

    def trade(self, words: list[str], ts_recv: int) -> Sequence[Output]:
        pair, number, seconds, price, lots, side = words
        ts_event = int(Decimal(seconds) * SECOND)
        size = self.base_units(pair, lots)
        symbol = self.instruments.symbol(pair)
        return (Trade(NAME, symbol, ts_event, 0, ts_recv, str(int(number)), _number(price), size, SIDES[side]),)

    def image(self, words: list[str], ts_recv: int) -> Sequence[Output]:
        return (self._depth(words, ts_recv, snapshot=True),)

    def change(self, words: list[str], ts_recv: int) -> Sequence[Output]:
        return (self._depth(words, ts_recv, snapshot=False),)

    def nothing(self, words: list[str], ts_recv: int) -> Sequence[Output]:
        return ()

    def _depth(self, words: list[str], ts_recv: int, *, snapshot: bool) -> DepthUpdate:
        pair, seq, bids, asks = words
        symbol = self.instruments.symbol(pair)
        last = int(seq)
        return DepthUpdate(
            NAME, symbol, 0, 0, ts_recv, self._levels(pair, bids), self._levels(pair, asks), last, last, None, snapshot
        )

    def _levels(self, pair: str, side: str) -> Levels:
        if side == "-":
            return ()
        rows = (row.split(":") for row in side.split(","))
        return tuple((_number(price), self.base_units(pair, lots)) for price, lots in rows)

    def base_units(self, pair: str, lots: str) -> float:
        """Lots to base units, as integers until the last step. A pair without a known lot is an error."""
        instrument = self.instruments.get_raw(pair)
        if instrument is None or instrument.contract_size is None:
            raise ValueError(f"the lot size of {pair} is not known")
        numerator, denominator = instrument.contract_size
        count = int(lots)
        if count < 0:
            raise ValueError("a negative size")
        return count * numerator / denominator


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e18:
        raise ValueError(f"{text!r} is out of bounds")
    return value


READERS: Mapping[str, Callable[[PebbleCodec, list[str], int], Sequence[Output]]] = {
    "T": PebbleCodec.trade,
    "I": PebbleCodec.image,
    "D": PebbleCodec.change,
    "OK": PebbleCodec.nothing,
    "NO": PebbleCodec.nothing,
    "?": PebbleCodec.nothing,
}
# --8<-- [end:codec]


# --8<-- [start:session]
@dataclass
class PebbleSession:
    """One connection: counts its requests, matches the answers, answers heartbeats."""

    codec: PebbleCodec
    outbox: list[Outgoing] = field(default_factory=list)
    streams: dict[Subscription, StreamState] = field(default_factory=dict)
    _asked: dict[int, Subscription] = field(default_factory=dict)
    _next: int = 1

    def on_open(self) -> None:
        """Pebble says nothing and wants nothing when a connection opens."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Send one line each."""
        for subscription in subscriptions:
            self.streams.setdefault(subscription, StreamState(subscription))
            self._asked[self._next] = subscription
            self.outbox.append(f"SUB {self._next} {subscription.channel} {self._pair(subscription)}")
            self._next += 1

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Send one line each and forget the streams."""
        for subscription in subscriptions:
            if self.streams.pop(subscription, None) is not None:
                self.outbox.append(f"END {self._next} {subscription.channel} {self._pair(subscription)}")
                self._next += 1

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        """Take one line."""
        line = data if isinstance(data, str) else data.decode("ascii", "replace")
        kind, _, rest = line.partition(" ")
        if kind == "?":
            self.outbox.append(f"! {rest}")
            return ()
        if kind in ("OK", "NO"):
            return self._answer(kind, rest, line)
        outputs = self.codec.decode(data, ts_recv)
        channel: Channel = "trades" if kind == "T" else "book"
        for output in outputs:
            if isinstance(output, Trade | DepthUpdate):
                state = self.streams.get(Subscription(channel, output.symbol))
                if state is not None:
                    state.touched = ts_recv
        return outputs

    def on_tick(self, now: int) -> Sequence[Output]:
        """Pebble needs no timer: the server asks, we answer."""
        return ()

    def _answer(self, kind: str, rest: str, line: str) -> Sequence[Output]:
        number, _, reason = rest.partition(" ")
        asked = self._asked.pop(int(number), None) if number.isdigit() else None
        if asked is None:
            return ()
        if kind == "OK":
            return (Confirmed((asked,), raw=line),)
        self.streams.pop(asked, None)
        return (Refused((asked,), reason, raw=line),)

    def _pair(self, subscription: Subscription) -> str:
        return self.codec.instruments.require(subscription.symbol).raw_symbol


# --8<-- [end:session]


# --8<-- [start:book]
class PebbleBookRule:
    """How books of Pebble join.

    1. The stream sends an image first; it replaces the book.
    2. Each change is numbered one higher than the message before it.
    3. A lower number has been seen; a higher one means that something is missing: subscribe again.
    """

    snapshot: Literal["request", "stream"] = "stream"
    wait_for = 0
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rules 2 and 3 after an image."""
        return self._fit(snapshot_seq, update.seq)

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rules 2 and 3 after a change."""
        return self._fit(last.seq, update.seq)

    @staticmethod
    def _fit(last: int, seq: int) -> Fit:
        if seq <= last:
            return Fit.STALE
        return Fit.APPLY if seq == last + 1 else Fit.GAP


# --8<-- [end:book]


# --8<-- [start:rest]
@dataclass(frozen=True)
class PebbleRest:
    """Pebble answers one question: what is traded."""

    def instruments(self) -> Query[list[Instrument]]:
        return Query("instruments", HttpRequest("GET", "/pairs"), lambda answer, ts: read_pairs(_body(answer), ts))

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        _lacks("snapshots by HTTP; the book stream sends one")

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        return None

    def time(self) -> Query[int]:
        _lacks("a clock")

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        _lacks("old trades")

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        _lacks("old trades")

    def candles(
        self,
        symbol: str,
        interval: Interval,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Candle]]:
        _lacks("candles")

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        _lacks("tickers")

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        _lacks("perpetuals")

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        _lacks("polled channels")

    def page_limit(self, query: str) -> int:
        _lacks(query)


def _lacks(what: str) -> NoReturn:
    raise Unsupported(f"{NAME} has no {what}")


def _body(answer: HttpResponse) -> bytes:
    if answer.status != 200:
        raise MARKET.read_error(answer, HttpRequest("GET", "/pairs"))
    return answer.body


def read_pairs(body: bytes, ts: int) -> list[Instrument]:
    """Read the lines of ``GET /pairs``."""
    try:
        return [_instrument(line, ts) for line in body.decode("ascii").splitlines() if line]
    except (ValueError, ArithmeticError) as error:
        raise WireError(f"not a list of pairs: {error}", body, venue=NAME) from None


def _instrument(line: str, ts: int) -> Instrument:
    pair, tick, lot, state = line.split(",")
    base, quote = pair.split("-")
    return Instrument(
        venue=NAME,
        symbol=f"{base}/{quote}",
        raw_symbol=pair,
        market="spot",
        base=base,
        quote=quote,
        settle=None,
        kind="spot",
        tick=Decimal(tick),
        step=Decimal(lot),
        min_size=Decimal(lot),
        max_size=None,
        min_notional=None,
        contract_size=Decimal(lot).as_integer_ratio(),
        multiplier=1,
        status="trading" if state == "open" else "halted",
        api_tradable=None,
        maker=None,
        taker=None,
        ts=ts,
    )


# --8<-- [end:rest]


# --8<-- [start:market]
@dataclass(frozen=True)
class PebbleMarket:
    """The one market of Pebble."""

    venue: str = NAME
    name: str = "spot"
    aliases: tuple[str, ...] = ()
    endpoints: Mapping[str, Endpoint] = field(
        default_factory=lambda: {"live": Endpoint(rest="http://pebble.test", ws={"public": "ws://pebble.test/feed"})}
    )
    channels: Mapping[Channel, ChannelSpec] = field(default_factory=lambda: CHANNELS)
    limits: Limits = LIMITS
    heartbeat: Heartbeat = HEARTBEAT
    book_rule: PebbleBookRule = field(default_factory=PebbleBookRule)
    catalogue: Sequence[Instrument] = tuple(read_pairs(b"BTC-EUR,0.5,0.01,open\nETH-EUR,0.05,0.1,open", 0))

    def owns(self, symbol: str) -> bool:
        return "/" in symbol and ":" not in symbol

    def cost(self, subscription: Subscription) -> int:
        return 1

    def codec(self, instruments: Instruments) -> Codec:
        return PebbleCodec(instruments)

    def session(self, instruments: Instruments, route: str) -> Session:
        return PebbleSession(PebbleCodec(instruments))

    def rest(self, instruments: Instruments) -> Rest:
        return PebbleRest()

    def read_instruments(self, body: bytes) -> list[Instrument]:
        return read_pairs(body, 0)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        text = response.body.decode("ascii", "replace").strip()
        return InvalidSymbol(text, venue=NAME, status=response.status)


MARKET = PebbleMarket()
VENUE = Venue(name=NAME, title="Pebble", markets=(MARKET,), simulator="tests.toy.simulator:face")
# --8<-- [end:market]
