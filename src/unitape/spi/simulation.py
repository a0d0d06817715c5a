"""What a venue's simulator implements, and the exchange it is a face of. Pure: no I/O, no clock, no randomness.

One ``Exchange`` holds one market's truth: books, trades, candles, all from one matching engine. A venue's ``Face``
speaks the venue's wire protocol in front of it: it answers HTTP, takes WebSocket messages, and leaves what it wants
sent in its ``outbox``. The same face runs on loopback sockets, in memory under virtual time, and in a fuzzer.

A venue names its factory in ``Venue.simulator`` as ``module:function``; the function is a ``FaceFactory``::

    def face(exchange: Exchange, market: str, options: FaceOptions) -> Face: ...

The driver calls ``tick`` once before anything else. After each call it empties ``outbox`` and sends what it finds:

1. ``ws_open``, ``ws_frame``, ``ws_pong``, ``ws_close`` as a client's connection does these things;
2. ``http`` for a request;
3. ``tick(now)`` many times a second, right after the exchange has moved on. ``now`` is monotonic nanoseconds: timers
   (pings, push intervals, lifetimes) run on it. Stamps and rate-limit windows come from ``Exchange.now``, the
   venue's wall clock, which may jump when a fault says so.

Prices and sizes are integers here: prices in ticks, sizes in lots of the instrument's step, so that nothing is
rounded on the way. ``SimInstrument.price_text`` and ``size_text`` write them as decimals. A venue that counts in
contracts takes one step as one contract. ``Exchange.accounts`` is the trading side, see
``unitape.spi.simulated_accounts``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from unitape.spi.http import HttpRequest, HttpResponse
from unitape.spi.simulated_accounts import Accounts
from unitape_schemas import Interval

__all__ = [
    "PRIVATE_STREAM",
    "Accounts",
    "Answer",
    "Bar",
    "BestPrices",
    "Binary",
    "BookChange",
    "BookImage",
    "CloseFrame",
    "DayStats",
    "Delayed",
    "Exchange",
    "Face",
    "FaceFactory",
    "FaceOptions",
    "FaceOutput",
    "FaultSource",
    "ForcedOrder",
    "Level",
    "Lost",
    "MarketEvent",
    "NoFaults",
    "PerpetualState",
    "Ping",
    "Settlement",
    "Side",
    "SimInstrument",
    "SimTrade",
    "Text",
    "VenueFault",
    "fixed",
]

Side: TypeAlias = Literal["buy", "sell"]
Level: TypeAlias = tuple[int, int]
"""(price in ticks, size in lots)."""

VenueFault: TypeAlias = Literal[
    "refused_subscribe",
    "silent_ack",
    "http_429",
    "http_418",
    "slow_snapshot",
    "lagging_snapshot",
    "lagging_orders",
    "listen_key_expired",
    "server_shutdown",
]
"""Faults that only the venue's own words can express; the others (drop, delay, …) strike between face and client.

``listen_key_expired`` ends a listen key before its time, as the venue does when nobody extended it: the face takes it
in ``tick`` for every private connection that has a key, and no longer knows the key. The client is told in the venue's
way, by a message or by the end of the connection, and hears nothing more. Where there are no listen keys it has no
meaning.
"""

PRIVATE_STREAM: Final = "private"
"""The ``stream`` of every message that tells a user about an account: orders, fills, balances, positions.

All faces use this one name for all of them, so that a fault with ``match="private"`` strikes these and nothing else,
and ``reorder`` swaps a fill with the order it belongs to. Greetings, logons and acknowledgements have no stream.

- ``delay`` pushes late: a fill that comes long after it happened, and everything after it.
- ``duplicate`` and ``reorder`` are what venues do that push from several machines.
- ``close`` loses the message that it strikes and breaks the connection: the way a private push gets lost.
- ``drop`` loses one in silence. No venue does that on a connection that lives, and no client could notice at once
  what has no sequence; what a client still owes is to end right after its next snapshot.
"""


def fixed(value: int, scale: int, digits: int | None = None) -> str:
    """Write ``value × 10**-scale`` as a plain decimal with ``digits`` decimals, at least ``scale`` (the default).

    ``fixed(9641237, 2, 8)`` is ``"96412.37000000"``.
    """
    pad = "0" * (digits - scale) if digits is not None and digits > scale else ""
    sign = "-" if value < 0 else ""
    if scale == 0:
        return f"{value}.{pad}" if pad else str(value)
    whole, part = divmod(abs(value), 10**scale)
    return f"{sign}{whole}.{part:0{scale}d}{pad}"


class SimInstrument(Struct, frozen=True):
    """One instrument of a simulated market. The face gives it the venue's own name."""

    symbol: str
    """Unified symbol: ``BTC/USDT`` or ``BTC/USDT:USDT``."""
    base: str
    quote: str
    settle: str | None
    """Settlement currency of a perpetual; None on spot."""
    tick_units: int
    tick_scale: int
    """A tick is ``tick_units × 10**-tick_scale`` of the quote currency."""
    step_units: int
    step_scale: int
    """A lot is ``step_units × 10**-step_scale`` of the base currency. Both scales together are at most 8."""

    @property
    def tick(self) -> Decimal:
        """Smallest price step in the quote currency."""
        return Decimal(self.tick_units).scaleb(-self.tick_scale)

    @property
    def step(self) -> Decimal:
        """Smallest size step in base units."""
        return Decimal(self.step_units).scaleb(-self.step_scale)

    def ticks(self, price: Decimal) -> int | None:
        """Return a price in ticks; None when it does not lie on the grid of ticks."""
        return _whole(price, self.tick_units, self.tick_scale)

    def lots(self, size: Decimal) -> int | None:
        """Return a size in lots; None when it is no multiple of the step."""
        return _whole(size, self.step_units, self.step_scale)

    def price_e8(self, ticks: int) -> int:
        """Return a price in units of 1e-8 quote currency."""
        return ticks * self.tick_units * _tens(8 - self.tick_scale)

    def size_e8(self, lots: int) -> int:
        """Return a size in units of 1e-8 base currency."""
        return lots * self.step_units * _tens(8 - self.step_scale)

    def notional_e8(self, amount: int) -> int:
        """Return a quote amount given in ticks × lots in units of 1e-8."""
        return amount * self.tick_units * self.step_units * _tens(8 - self.tick_scale - self.step_scale)

    def average_e8(self, amount: int, lots: int) -> int:
        """Return the average price of ``lots`` in units of 1e-8, rounded half up; 0 of none."""
        return (2 * self.price_e8(amount) + lots) // (2 * lots) if lots else 0

    def price_text(self, ticks: int, digits: int | None = None) -> str:
        """Write a price; ``digits`` decimals at least (a tick's own by default)."""
        return fixed(ticks * self.tick_units, self.tick_scale, digits)

    def size_text(self, lots: int, digits: int | None = None) -> str:
        """Write a size in base units; ``digits`` decimals at least (a step's own by default)."""
        return fixed(lots * self.step_units, self.step_scale, digits)

    def notional_text(self, amount: int, digits: int | None = None) -> str:
        """Write a quote amount given in ticks × lots, exactly."""
        return fixed(amount * self.tick_units * self.step_units, self.tick_scale + self.step_scale, digits)


def _tens(exponent: int) -> int:
    if exponent < 0:
        raise ValueError("amounts finer than 1e-8 are not simulated")
    power: int = 10**exponent
    return power


def _whole(value: Decimal, units: int, scale: int) -> int | None:
    if not value.is_finite() or not -30 < value.adjusted() < 18 or len(value.as_tuple().digits) > 60:
        return None if value else 0
    numerator, denominator = value.as_integer_ratio()
    count, rest = divmod(numerator * 10**scale, denominator * units)
    return None if rest else count


class BookChange(Struct, frozen=True, gc=False, tag="book"):
    """One price level changed. ``seq`` grows by exactly one with every change to the symbol's book."""

    symbol: str
    ts: int
    """Venue wall clock, nanoseconds."""
    seq: int
    side: Side
    """``buy``: the bid side."""
    price: int
    size: int
    """The level's size now; 0 when it is gone."""
    before: int
    """The level's size before; 0 when it is new."""


class SimTrade(Struct, frozen=True, gc=False, tag="trade"):
    """One match of a maker's and a taker's order. ``id`` grows by exactly one per trade of the symbol."""

    symbol: str
    ts: int
    id: int
    price: int
    size: int
    taker: Side
    """The taker's side."""
    taker_order: int
    maker_order: int
    seq: int
    """The book's ``seq`` after the level that the trade took from changed."""


class ForcedOrder(Struct, frozen=True, gc=False, tag="forced"):
    """A liquidation: an order that the venue sent for a position it closed. Its trades are in the journal, too."""

    symbol: str
    ts: int
    side: Side
    """The order's side: ``sell`` when a long was liquidated."""
    price: int
    """Its limit."""
    size: int
    filled: int
    notional: int
    """What was filled, in ticks × lots: the average price is ``notional / filled``."""


class Settlement(Struct, frozen=True, gc=False, tag="settlement"):
    """Funding was settled."""

    symbol: str
    ts: int
    rate_e8: int
    """The rate in units of 1e-8: 10000 is 0.01 %."""
    mark_e8: int
    """The mark price in units of 1e-8 quote currency."""


MarketEvent: TypeAlias = BookChange | SimTrade | ForcedOrder | Settlement


class BookImage(Struct, frozen=True):
    """A book at one moment, best price first."""

    seq: int
    ts: int
    """When ``seq`` came about."""
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class BestPrices(Struct, frozen=True, gc=False):
    """The touch of a book. A side without orders has price and size 0."""

    seq: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Bar(Struct, frozen=True, gc=False):
    """One candle. Amounts in quote currency are in ticks × lots."""

    open_ts: int
    close_ts: int
    """Exclusive end, nanoseconds."""
    open: int
    high: int
    low: int
    close: int
    volume: int
    """Lots."""
    amount: int
    trades: int
    taker_volume: int
    """Lots bought by takers."""
    taker_amount: int
    first_id: int
    """Id of the first trade in it, -1 when there was none."""
    last_id: int


class DayStats(Struct, frozen=True, gc=False):
    """Rolling 24 h statistics."""

    open_ts: int
    close_ts: int
    open: int
    high: int
    low: int
    last: int
    last_size: int
    before: int
    """Last price before the window."""
    volume: int
    amount: int
    trades: int
    first_id: int
    last_id: int


class PerpetualState(Struct, frozen=True, gc=False):
    """What a perpetual has beside its book. Prices in units of 1e-8 quote currency, rates in units of 1e-8."""

    mark_e8: int
    index_e8: int
    rate_e8: int
    """Running estimate for the next settlement."""
    next_funding: int
    """Nanoseconds."""
    funding_hours: int
    open_interest: int
    """Lots."""


class Exchange(Protocol):
    """One simulated market: everything a face can tell about it. Symbols are unified ones."""

    @property
    def seed(self) -> int:
        """What makes this market the one it is."""
        ...

    @property
    def now(self) -> int:
        """The venue's wall clock, nanoseconds. It may jump either way."""
        ...

    @property
    def instruments(self) -> Sequence[SimInstrument]:
        """Every instrument, in listing order."""
        ...

    def instrument(self, symbol: str) -> SimInstrument:
        """Return one instrument; KeyError when there is none."""
        ...

    def book(self, symbol: str, depth: int | None = None, *, lag: float = 0.0) -> BookImage:
        """Return the book, ``depth`` levels per side (None: all), as it was ``lag`` seconds ago."""
        ...

    def best(self, symbol: str) -> BestPrices:
        """Return the touch."""
        ...

    def trades(self, symbol: str, limit: int) -> Sequence[SimTrade]:
        """Return the newest trades, oldest first."""
        ...

    def trades_from(self, symbol: str, first_id: int, limit: int) -> Sequence[SimTrade]:
        """Return kept trades with ``id >= first_id``, oldest first."""
        ...

    def bars(
        self, symbol: str, interval: Interval, *, start: int | None = None, end: int | None = None, limit: int = 500
    ) -> Sequence[Bar]:
        """Return candles that open in [start, end), oldest first, the unfinished one included.

        With ``start`` the oldest ``limit`` of them, without it the newest. A candle without trades stands at the
        close of the one before.
        """
        ...

    def day(self, symbol: str) -> DayStats:
        """Return the rolling 24 h statistics."""
        ...

    def perpetual(self, symbol: str) -> PerpetualState:
        """Return mark, index, funding and open interest; KeyError on spot."""
        ...

    def settlements(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int = 100
    ) -> Sequence[Settlement]:
        """Return settled funding in [start, end], oldest first; the newest ``limit`` without ``start``."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Who trades here, and what they own."""
        ...

    @property
    def cursor(self) -> int:
        """The journal's end: what happens from now on stands at this position and after."""
        ...

    def events(self, cursor: int) -> Sequence[MarketEvent]:
        """Return what happened from ``cursor`` on, in order. The next cursor is ``cursor`` plus their number.

        Raises:
            LookupError: the journal no longer reaches back so far (it keeps the newest hundred thousand at least).
        """
        ...


class FaultSource(Protocol):
    """Tells a face when it must misbehave."""

    def take(self, kind: VenueFault, where: str) -> float | None:
        """Return how strongly a fault of this kind strikes ``where`` now, and use it up; None: it does not.

        ``where`` is the stream name (``PRIVATE_STREAM`` for private ones) or the request path. The value is in
        seconds: ``Retry-After`` of ``http_429`` and ``http_418``, the delay of ``slow_snapshot``, the age of
        ``lagging_snapshot``, the ``lag`` of account queries for ``lagging_orders``, the notice of ``server_shutdown``
        before the close; elsewhere it has no meaning.
        """
        ...


class NoFaults:
    """A source that never strikes."""

    def take(self, kind: VenueFault, where: str) -> float | None:
        """Return None."""
        return None


class FaceOptions(Struct, frozen=True):
    """How a face behaves."""

    faults: FaultSource
    enforce_limits: bool = True
    """Count request weight and messages as the venue does, and refuse as it does."""
    snapshot_lag: float = 0.0
    """Seconds by which REST book snapshots are older than the stream."""
    lifetime: float | None = None
    """Seconds after which connections are cut; None: the venue's own rule."""
    settings: Mapping[str, str] = {}
    """Further settings by name; a face documents its own."""


class Text(Struct, frozen=True, gc=False, tag="text"):
    """Send a text message. ``stream`` names the stream it belongs to, empty for acknowledgements and the like."""

    conn: int
    data: bytes
    """UTF-8."""
    stream: str = ""


class Binary(Struct, frozen=True, gc=False, tag="binary"):
    """Send a binary message."""

    conn: int
    data: bytes
    stream: str = ""


class Ping(Struct, frozen=True, gc=False, tag="ping"):
    """Send a WebSocket ping frame; ``ws_pong`` brings the answer."""

    conn: int
    data: bytes = b""


class CloseFrame(Struct, frozen=True, gc=False, tag="close"):
    """Close the connection. The face forgets it; ``ws_close`` is not called for it."""

    conn: int
    code: int = 1000
    reason: str = ""


FaceOutput: TypeAlias = Text | Binary | Ping | CloseFrame


class Delayed(Struct, frozen=True):
    """An answer that leaves after some seconds."""

    response: HttpResponse
    seconds: float


class Lost(Struct, frozen=True):
    """The request was served, its answer never arrives: the connection breaks after some seconds."""

    seconds: float = 0.0


Answer: TypeAlias = HttpResponse | Delayed | Lost


class Face(Protocol):
    """A venue's wire protocol before one market's exchange, all connections of it."""

    @property
    def outbox(self) -> list[FaceOutput]:
        """What to send, oldest first. The driver removes it after every call."""
        ...

    def http(self, request: HttpRequest) -> Answer:
        """Answer one request. ``request.headers`` are as sent; header names compare in any case."""
        ...

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Take a handshake for a path with query; return None, or the HTTP answer that refuses it.

        ``conn`` is a number that no other connection has or had.
        """
        ...

    def ws_frame(self, conn: int, data: bytes, text: bool) -> None:
        """Take a message of a client; text is UTF-8."""
        ...

    def ws_pong(self, conn: int, data: bytes) -> None:
        """Take a pong frame, asked for or not."""
        ...

    def ws_ping(self, conn: int, data: bytes) -> None:
        """Take note of a client's ping frame; the driver answers it."""
        ...

    def ws_close(self, conn: int) -> None:
        """Forget a connection that the client left."""
        ...

    def tick(self, now: int) -> None:
        """Tell what happened since the last tick and let timers run. ``now`` is monotonic nanoseconds."""
        ...


class FaceFactory(Protocol):
    """What ``Venue.simulator`` names."""

    def __call__(self, exchange: Exchange, market: str, options: FaceOptions) -> Face:
        """Return the face of the market of this name. Raises KeyError when the venue has no such market."""
        ...
