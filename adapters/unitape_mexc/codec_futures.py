"""Futures messages, one at a time: JSON text, or the same compressed with gzip.

A push is decoded in one typed pass: its channel is cut out of the bytes to choose the type, and compared afterwards
with what the typed pass read. Sizes come in contracts and leave in base units, computed with the integers of the
contract size so that they are correctly rounded; without a known contract size a message with sizes is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

import msgspec

from unitape.errors import WireError
from unitape.spi import MILLISECOND, SECOND, Closing, DepthUpdate, Instruments, Output, Refused, Unmapped
from unitape_mexc import wire
from unitape_mexc.channels import INTERVALS, TOP_DEPTHS, candle_end
from unitape_mexc.limits import FUTURES_LIMITS
from unitape_schemas import Candle, Funding, Levels, MarkPrice, OpenInterest, Side, Ticker, TopBook, Trade

__all__ = ["NO_ANSWER", "VENUE", "Contract", "Contracts", "FuturesCodec", "FuturesReader", "said", "unpacked"]

VENUE: Final = "mexc"
_NOTHING: Final[tuple[Output, ...]] = ()
_MAX_FRAME: Final = FUTURES_LIMITS.max_frame
_GZIP: Final = b"\x1f\x8b"
_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
_SIZE_LIMIT: Final = 1e18
_PLAIN_CONTRACT: Final = 10**7
"""Below this contract size no level can exceed what the contract of the library allows."""
_MAX_CONTRACTS: Final = 16_384
_NAME: Final = b'"channel":"'
NO_ANSWER: Final = "more than 60 seconds no response"

_MS: Final = MILLISECOND
_errors: Final = (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError)

_reply = msgspec.json.Decoder(wire.Reply).decode
_deals = msgspec.json.Decoder(wire.Push[tuple[wire.Deal, ...] | wire.Deal], strict=False).decode
_depth = msgspec.json.Decoder(wire.Push[wire.DepthData], strict=False).decode
_loose_depth = msgspec.json.Decoder(wire.Push[wire.LooseDepthData], strict=False).decode
_ticker = msgspec.json.Decoder(wire.Push[wire.TickerData], strict=False).decode
_tickers = msgspec.json.Decoder(wire.Push[tuple[wire.TickerData, ...]], strict=False).decode
_kline = msgspec.json.Decoder(wire.Push[wire.KlineData], strict=False).decode
_funding = msgspec.json.Decoder(wire.Push[wire.FundingData], strict=False).decode
_price = msgspec.json.Decoder(wire.Push[wire.PriceData], strict=False).decode


class Contract:
    """One contract: its unified symbol and how much of the base it holds."""

    __slots__ = ("denominator", "numerator", "plain", "symbol")

    def __init__(self, symbol: str, numerator: int, denominator: int) -> None:
        self.symbol = symbol
        self.numerator = numerator
        self.denominator = denominator
        self.plain = numerator < denominator * _PLAIN_CONTRACT

    def base(self, contracts: float) -> float:
        """Return contracts in base units, correctly rounded.

        Raises:
            ValueError: the size is beyond all bounds.
        """
        if contracts.is_integer():
            size = int(contracts) * self.numerator / self.denominator
        else:
            size = float(Fraction(Decimal(repr(contracts))) * Fraction(self.numerator, self.denominator))
        if size >= _SIZE_LIMIT:
            raise ValueError(f"a size beyond all bounds: {contracts} contracts")
        return size

    def levels(self, rows: Sequence[tuple[float, int, int]]) -> Levels:
        """Return levels in base units."""
        numerator, denominator = self.numerator, self.denominator
        levels = tuple([(price, contracts * numerator / denominator) for price, contracts, _ in rows])
        if not self.plain and any(size >= _SIZE_LIMIT for _, size in levels):
            raise ValueError("a size beyond all bounds")
        return levels

    def loose_levels(self, rows: Sequence[Sequence[float]]) -> Levels:
        """Return levels of two or three elements in base units."""
        return tuple([(row[0], self.base(row[1])) for row in rows])


class Contracts:
    """Looks contracts up by the venue's spelling."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._known: dict[str, Contract] = instruments.derived.setdefault("contracts", {})

    def symbol(self, raw: str) -> str:
        """Return the unified symbol; the raw one where the contract is not known.

        Raises:
            ValueError: it is empty.
        """
        if not raw:
            raise ValueError("a message that names no contract")
        return self._instruments.symbol(raw)

    def find(self, raw: str) -> Contract:
        """Return the contract.

        Raises:
            ValueError: it is not known, or has no size in base units.
        """
        found = self._known.get(raw)
        if found is None:
            symbol = self.symbol(raw)
            instrument = self._instruments.get_raw(raw)
            if instrument is None or instrument.contract_size is None:
                raise ValueError(f"the contract size of {raw} is not known, so its sizes mean nothing")
            found = Contract(symbol, *instrument.contract_size)
            if len(self._known) >= _MAX_CONTRACTS:
                self._known.clear()
            self._known[raw] = found
        return found


def unpacked(data: bytes | str) -> bytes:
    """Return a message as text in bytes, decompressed where it was compressed.

    Raises:
        WireError: it is not gzip after all, or larger than any message.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if raw[:2] == _GZIP:
        reader = zlib.decompressobj(wbits=31)
        try:
            text = reader.decompress(raw, _MAX_FRAME)
        except zlib.error as error:
            raise WireError(f"not gzip: {error}", raw, venue=VENUE) from None
        if not reader.eof or reader.unused_data:
            raise WireError("gzip that is cut off, goes on or is beyond all bounds", raw, venue=VENUE)
        return text
    if len(raw) > _MAX_FRAME:
        raise WireError("a frame beyond all bounds", raw, venue=VENUE)
    return raw


def said(data: msgspec.Raw) -> str:
    """Return the text in a reply's ``data``: the string it is, or the JSON."""
    text = bytes(data).decode("utf-8", "replace")
    if text[:1] == '"':
        return str(msgspec.json.decode(text))
    return text


Found: TypeAlias = tuple[str, str, str, Sequence[Output]]
"""Stream name, contract, interval, and what a push says."""
_Read: TypeAlias = Callable[["FuturesReader", bytes, int], Found]


class FuturesReader:
    """Reads pushes of public data."""

    def __init__(self, instruments: Instruments) -> None:
        self._contracts = Contracts(instruments)

    def read(self, data: bytes, ts_recv: int) -> Found | None:
        """Return what a push says; None when the message is something else.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        at = data.find(_NAME)
        if at >= 0:
            start = at + 11
            name = data[start : data.find(b'"', start)]
        else:
            name = self._slow_name(data)
        reader = _READERS.get(name)
        if reader is None:
            return None
        try:
            return reader(self, data, ts_recv)
        except _errors as error:
            raise WireError(str(error), data, venue=VENUE) from None

    @staticmethod
    def _slow_name(data: bytes) -> bytes:
        try:
            return _reply(data).channel.encode()
        except _errors as error:
            raise WireError(f"not a message: {error}", data, venue=VENUE) from None

    def deal(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.deal``: one trade, or a list of them."""
        push = _deals(data)
        _same(push.channel, "push.deal")
        contract = self._contracts.find(push.symbol)
        symbol, base, ts_sent = contract.symbol, contract.base, push.ts * _MS
        rows = push.data if isinstance(push.data, tuple) else (push.data,)
        trades = [
            Trade(
                VENUE,
                symbol,
                row.t * _MS,
                ts_sent,
                ts_recv,
                None if row.i is None else str(row.i),
                row.p,
                base(row.v),
                _SIDES[row.T],
            )
            for row in rows
        ]
        return "deal", push.symbol, "", trades

    def depth(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.depth``, merged or not."""
        push, contract, bids, asks = self._levels(data, "push.depth")
        row = push.data
        first = row.version if row.begin is None else row.begin
        last = row.version if row.end is None else row.end
        if first > last:
            raise ValueError(f"versions run backwards: {first} to {last}")
        ts_event = (row.cts or row.ct or 0) * _MS
        update = DepthUpdate(VENUE, contract.symbol, ts_event, push.ts * _MS, ts_recv, bids, asks, first, last, None)
        return "depth", push.symbol, "", (update,)

    def depth_full(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.depth.full``. The push does not say its limit: the smallest that holds its levels is taken."""
        push, contract, bids, asks = self._levels(data, "push.depth.full")
        row = push.data
        levels = max(len(bids), len(asks))
        depth = next((limit for limit in TOP_DEPTHS if limit >= levels), levels)
        ts_event = (row.cts or row.ct or 0) * _MS
        top = TopBook(VENUE, contract.symbol, ts_event, push.ts * _MS, ts_recv, bids, asks, depth, row.version)
        return "depth.full", push.symbol, "", (top,)

    def _levels(
        self, data: bytes, channel: str
    ) -> tuple[wire.Push[wire.DepthData] | wire.Push[wire.LooseDepthData], Contract, Levels, Levels]:
        try:
            push = _depth(data)
        except msgspec.ValidationError:
            loose = _loose_depth(data)
            _same(loose.channel, channel)
            contract = self._contracts.find(loose.symbol)
            return loose, contract, contract.loose_levels(loose.data.bids), contract.loose_levels(loose.data.asks)
        _same(push.channel, channel)
        contract = self._contracts.find(push.symbol)
        return push, contract, contract.levels(push.data.bids), contract.levels(push.data.asks)

    def ticker(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.ticker``: a ticker, and the open interest in it."""
        push = _ticker(data)
        row = push.data
        _same(push.channel, "push.ticker")
        _same(row.symbol, push.symbol)
        contract = self._contracts.find(push.symbol)
        ts_event, ts_sent = row.timestamp * _MS, push.ts * _MS
        events: list[Output] = [_make_ticker(row, contract.symbol, contract, ts_event, ts_sent, ts_recv)]
        if row.held is not None:
            size = contract.base(row.held)
            events.append(OpenInterest(VENUE, contract.symbol, ts_event, ts_sent, ts_recv, size))
        return "ticker", push.symbol, "", events

    def tickers(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.tickers``. A contract of unknown size has a ticker without volume."""
        push = _tickers(data)
        _same(push.channel, "push.tickers")
        ts_sent = push.ts * _MS
        return "tickers", "", "", [self.row(row, ts_sent, ts_recv) for row in push.data]

    def row(self, row: wire.TickerData, ts_sent: int, ts_recv: int) -> Ticker:
        """Return one row of a list of tickers."""
        symbol = self._contracts.symbol(row.symbol)
        try:
            contract = self._contracts.find(row.symbol)
        except ValueError:
            contract = None
        return _make_ticker(row, symbol, contract, row.timestamp * _MS, ts_sent, ts_recv)

    def kline(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.kline``."""
        push = _kline(data)
        row = push.data
        _same(push.channel, "push.kline")
        _same(row.symbol, push.symbol)
        interval = INTERVALS.get(row.interval)
        if interval is None:
            raise ValueError(f"no such interval: {row.interval!r}")
        contract = self._contracts.find(push.symbol)
        candle = Candle(
            VENUE,
            contract.symbol,
            0,
            push.ts * _MS,
            ts_recv,
            interval,
            row.start * SECOND,
            candle_end(row.start, interval) * SECOND,
            row.open,
            row.high,
            row.low,
            row.close,
            contract.base(row.q),
            row.a,
            None,
            False,
        )
        return "kline", push.symbol, row.interval, (candle,)

    def funding(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.funding.rate``."""
        push = _funding(data)
        row = push.data
        _same(push.channel, "push.funding.rate")
        _same(row.symbol, push.symbol)
        rate = row.named_rate if row.rate is None else row.rate
        if rate is None:
            raise ValueError("funding without a rate")
        following = None if row.next_settle is None else row.next_settle * _MS
        symbol = self._contracts.symbol(push.symbol)
        event = Funding(VENUE, symbol, 0, push.ts * _MS, ts_recv, rate, following)
        return "funding.rate", push.symbol, "", (event,)

    def fair_price(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.fair.price``: the mark price."""
        push = _price(data)
        _same(push.channel, "push.fair.price")
        _same(push.data.symbol, push.symbol)
        symbol = self._contracts.symbol(push.symbol)
        event = MarkPrice(VENUE, symbol, 0, push.ts * _MS, ts_recv, push.data.price, None)
        return "fair.price", push.symbol, "", (event,)

    def index_price(self, data: bytes, ts_recv: int) -> Found:
        """Read ``push.index.price``."""
        push = _price(data)
        _same(push.channel, "push.index.price")
        _same(push.data.symbol, push.symbol)
        symbol = self._contracts.symbol(push.symbol)
        event = MarkPrice(VENUE, symbol, 0, push.ts * _MS, ts_recv, None, push.data.price)
        return "index.price", push.symbol, "", (event,)


_READERS: Final[Mapping[bytes, _Read]] = {
    b"push.deal": FuturesReader.deal,
    b"push.depth": FuturesReader.depth,
    b"push.depth.full": FuturesReader.depth_full,
    b"push.ticker": FuturesReader.ticker,
    b"push.tickers": FuturesReader.tickers,
    b"push.kline": FuturesReader.kline,
    b"push.funding.rate": FuturesReader.funding,
    b"push.fair.price": FuturesReader.fair_price,
    b"push.index.price": FuturesReader.index_price,
}


def _same(one: str, other: str) -> None:
    if one != other:
        raise ValueError(f"a message that contradicts itself: {other} and {one}")


def _make_ticker(
    row: wire.TickerData, symbol: str, contract: Contract | None, ts_event: int, ts_sent: int, ts_recv: int
) -> Ticker:
    volume = None if contract is None or row.volume24 is None else contract.base(row.volume24)
    return Ticker(
        VENUE,
        symbol,
        ts_event,
        ts_sent,
        ts_recv,
        row.last,
        None,
        row.high,
        row.low,
        volume,
        row.amount24,
        None if row.change is None else float(Decimal(repr(row.change)).scaleb(2)),
        row.bid,
        None,
        row.ask,
        None,
    )


class FuturesCodec:
    """Reads single futures messages."""

    def __init__(self, instruments: Instruments) -> None:
        self._reader = FuturesReader(instruments)

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says. ``stream`` is not needed: messages name their channel.

        An acknowledgement and a pong say nothing without the request they answer.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        text = unpacked(data)
        found = self._reader.read(text, ts_recv)
        if found is not None:
            return found[3]
        try:
            reply = _reply(text)
            words = said(reply.data)
        except _errors as error:
            raise WireError(f"not a message: {error}", text, venue=VENUE) from None
        if reply.channel == "rs.error":
            if NO_ANSWER in words:
                return (Closing(words, rotate=False),)
            return (Refused(None, words, raw=text.decode("utf-8", "replace")),)
        if reply.channel.startswith("push."):
            return (Unmapped(reply.channel),)
        if reply.channel == "pong" or reply.channel.startswith("rs."):
            return _NOTHING
        raise WireError(f"an unknown channel {reply.channel!r}", text, venue=VENUE)
