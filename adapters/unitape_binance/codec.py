"""Single messages with no connection behind them: recordings, logs, tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from unitape.spi import Instruments, Output, Unmapped
from unitape_binance.channels import EVENT_KINDS, StreamName, parse_stream
from unitape_binance.frames import Frame, checked, parse_frame, refusal, shutdown, spoilt
from unitape_binance.readers import DECODE_ERRORS
from unitape_binance.streams import StreamTable, stream_kind

__all__ = ["BinanceCodec"]

_rows = msgspec.json.Decoder(list[Raw]).decode


def _is_array(data: Raw) -> bool:
    return bytes(data).lstrip()[:1] == b"["


_DIFF_LIKE: Final = ("top", "rpiDepth")
"""Kinds whose payload on futures looks like a change of the book; only the stream's name tells."""


class BinanceCodec:
    """Reads combined frames, bare payloads, arrays of all-market streams, answers, errors and notices.

    A payload names its symbol itself where it can (``s``); otherwise the stream's name does.
    """

    def __init__(self, instruments: Instruments, streams: StreamTable) -> None:
        self._symbol_of = instruments.symbol
        self._streams = streams

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says.

        Answers to control messages give nothing; an event that the contract has no place for is ``Unmapped``.

        Raises:
            WireError: the message cannot be understood; nothing of it was used.
        """
        whole = Raw(checked(data))
        if _is_array(whole):
            return self._payload(whole, ts_recv, stream)
        frame = parse_frame(whole)
        if frame.stream is not None:
            if not bytes(frame.data):
                raise spoilt("a stream without data", data)
            return self._payload(frame.data, ts_recv, frame.stream)
        if bytes(frame.event):
            return self._row(frame.event, ts_recv, stream)
        refused = refusal(frame)
        if refused is not None:
            return (refused,)
        if frame.event_type is None and bytes(frame.result):
            return () if frame.status is None else (Unmapped("WebSocket API answer"),)
        return self._event(whole, frame, ts_recv, stream)

    def _payload(self, data: Raw, ts_recv: int, stream: str | None) -> Sequence[Output]:
        if not _is_array(data):
            return self._row(data, ts_recv, stream)
        try:
            rows = _rows(data)
        except DECODE_ERRORS as error:
            raise spoilt(error, bytes(data)) from error
        return [output for row in rows for output in self._row(row, ts_recv, stream)]

    def _row(self, data: Raw, ts_recv: int, stream: str | None) -> Sequence[Output]:
        return self._event(data, parse_frame(data), ts_recv, stream)

    def _event(self, data: Raw, frame: Frame, ts_recv: int, stream: str | None) -> Sequence[Output]:
        if frame.event_type == "serverShutdown":
            return (shutdown(),)
        named = None if stream is None else parse_stream(stream)
        kind = self._kind(frame, named)
        if kind is None:
            raise spoilt("no event type, and no stream name that tells", bytes(data))
        if frame.family not in (None, 1):
            return ()
        raw = frame.raw or frame.symbol or (named.raw.upper() if named is not None and named.raw else None)
        if raw is None and kind.kind != "forceOrder":
            return self._without_symbol(data, kind)
        # A liquidation names its symbol one level further in, where its own reader finds it.
        found = stream_kind(self._streams, kind, of_one=raw is not None)
        if found is None:
            return (Unmapped(frame.event_type or kind.kind),)
        try:
            payload: object = msgspec.json.decode(data, type=found.payload, strict=False)
        except DECODE_ERRORS as error:
            raise spoilt(error, bytes(data)) from error
        symbol = "" if raw is None else self._symbol_of(raw)
        return found.reader(symbol, kind.depth, self._symbol_of)(payload, ts_recv)

    def _without_symbol(self, data: Raw, kind: StreamName) -> Sequence[Output]:
        if kind.kind in self._streams:
            raise spoilt("no symbol, and no stream name that tells it", bytes(data))
        return (Unmapped(kind.kind),)

    @staticmethod
    def _kind(frame: Frame, named: StreamName | None) -> StreamName | None:
        if frame.event_type is not None:
            kind = EVENT_KINDS.get(frame.event_type, frame.event_type)
            if kind == "depth" and named is not None and named.kind in _DIFF_LIKE:
                return named
            return StreamName(None, kind)
        if bytes(frame.open_interest):
            return StreamName(None, "openInterest")
        if frame.update is not None:
            return StreamName(None, "bookTicker")
        return named
