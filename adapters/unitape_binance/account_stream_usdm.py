"""The account stream of USDⓈ-M: a connection of the private route that is named by a listen key.

From "User Data Streams" of the USDⓈ-M futures (2026-10). An execution gives the order as it is now and, right behind
it, its fill; ``TRADE_LITE``, which comes a little earlier, knows neither fee nor status and is left aside.

A wrong or expired key still connects and stays silent for ever. So the stream counts as ready as soon as it stands,
and it is the extension of the key that finds out: it is refused for a key that is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, WireError
from unitape.spi import (
    Closing,
    Credentials,
    Dial,
    Endpoint,
    HttpMethod,
    HttpRequest,
    HttpResponse,
    Instruments,
    Outgoing,
    PrivateOutput,
    PrivateSpec,
    Query,
    Ready,
    Recheck,
    Refused,
    TradingSettings,
    Unmapped,
)
from unitape_binance import usdm_events as events
from unitape_binance.errors import read_error
from unitape_binance.frames import checked, parse_frame, refusal, shutdown, spoilt
from unitape_binance.limits import USDM_ACCOUNT_HEARTBEAT
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME, SymbolOf
from unitape_binance.usdm_events import Sides

__all__ = ["USDM_ACCOUNT_STREAM", "UsdmAccountSession", "UsdmAccountStream"]

T = TypeVar("T")

_DAY: Final = 24 * 3600.0
_LISTEN_KEY: Final = "/fapi/v1/listenKey"
_NOTHING: Final[tuple[PrivateOutput, ...]] = ()

USDM_ACCOUNT_STREAM: Final = PrivateSpec(
    route="private",
    channels=("orders", "fills", "balances", "positions"),
    heartbeat=USDM_ACCOUNT_HEARTBEAT,
    lifetime=_DAY,
    # A key lives for 60 minutes from its last extension.
    keep_every=1800.0,
    source="USDⓈ-M futures: User Data Streams, Connect; 2026-10",
)


class _ListenKey(Struct, gc=False, rename="camel"):
    listen_key: str


_listen_key = msgspec.json.Decoder(_ListenKey).decode
_anything = msgspec.json.Decoder(dict[str, Raw]).decode


def _order(row: events.OrderUpdate, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    return events.order_events(row, symbol_of, ts_recv)


def _account(row: events.AccountUpdate, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    found: list[PrivateOutput] = [
        *events.balances(row, ts_recv),
        *events.positions(row, symbol_of, sides, ts_recv),
    ]
    if row.change.balances:
        # The wallet is told; what of it is free, and the equity, is not.
        found.append(Recheck(("balances",), f"{row.change.reason}: free margin and equity are not pushed"))
    return found


def _algo(row: events.AlgoUpdate, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    return (events.conditional_order(row, symbol_of, ts_recv),)


def _config(row: events.ConfigUpdate, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    if row.leverage is not None:
        text = f"the leverage of {row.leverage.symbol} is {row.leverage.leverage} now"
        return (Recheck(("positions", "balances"), text),)
    return (Recheck(("balances",), "the multi-assets mode changed"),)


def _expired(row: events.Notice, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    return (Closing("the listen key expired (listenKeyExpired): nothing comes any more", rotate=False),)


def _shutdown(row: events.Notice, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> Sequence[PrivateOutput]:
    return (shutdown(),)


_Reader = Callable[[Any, SymbolOf, Sides, int], Sequence[PrivateOutput]]
_READERS: Final[Mapping[str, tuple[Callable[[Raw | bytes | str], Any], _Reader]]] = {
    name: (msgspec.json.Decoder(kind, strict=False).decode, reader)
    for name, kind, reader in (
        ("ORDER_TRADE_UPDATE", events.OrderUpdate, _order),
        ("ACCOUNT_UPDATE", events.AccountUpdate, _account),
        ("ALGO_UPDATE", events.AlgoUpdate, _algo),
        ("ACCOUNT_CONFIG_UPDATE", events.ConfigUpdate, _config),
        ("listenKeyExpired", events.Notice, _expired),
        ("serverShutdown", events.Notice, _shutdown),
    )
}
"""What is not here, such as ``TRADE_LITE``, ``MARGIN_CALL`` and ``CONDITIONAL_ORDER_TRIGGER_REJECT``, is unmapped: the
first is told better by another event, the others are advice that changes no order."""


class UsdmAccountSession:
    """One connection of the private route."""

    def __init__(self, symbol_of: SymbolOf) -> None:
        self.outbox: list[Outgoing] = []
        self._symbol_of = symbol_of
        self._sides = Sides()
        self._open = False
        self._ready = False

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Say nothing: the listen key in the address says all."""
        self._open = True

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message, bare or in the envelope of combined streams.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        checked(data)
        frame = parse_frame(data)
        refused = refusal(frame)
        if refused is not None:
            return (Refused(None, refused.text, refused.code),)
        body: Raw | bytes | str = data
        if bytes(frame.data):
            body = frame.data
            frame = parse_frame(body)
        name = frame.event_type
        if name is None:
            if bytes(frame.result):
                return _NOTHING
            raise spoilt("neither an event nor an answer", data)
        known = _READERS.get(name)
        if known is None:
            return (Unmapped(name),)
        decode, read = known
        try:
            return read(decode(body), self._symbol_of, self._sides, ts_recv)
        except DECODE_ERRORS as error:
            raise spoilt(f"{name}: {error}", data) from error

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Be ready at the first tick after the connection stood: the venue confirms nothing."""
        if self._ready or not self._open:
            return _NOTHING
        self._ready = True
        return (Ready(),)


class UsdmAccountStream:
    """The account stream of USDⓈ-M; see ``unitape.spi.AccountStream``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        self._instruments = instruments

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        return USDM_ACCOUNT_STREAM

    def open_key(self) -> Query[str] | None:
        """Ask for the account's listen key; there is one at a time, and asking again extends it."""

        def read(body: bytes) -> str:
            key = _listen_key(body).listen_key
            if not key:
                raise msgspec.ValidationError("an empty listen key")
            return key

        return _key_query("open_key", "POST", read)

    def keep_key(self, key: str) -> Query[None] | None:
        """Extend the account's listen key, which the venue knows without being told."""

        def read(body: bytes) -> None:
            _anything(body)

        return _key_query("keep_key", "PUT", read)

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return the address of the account's stream, which holds the listen key.

        Raises:
            ConfigError: there is no listen key, or the environment has no private route.
        """
        url = endpoint.ws.get(USDM_ACCOUNT_STREAM.route)
        if url is None:
            raise ConfigError(f"{endpoint.rest} streams no accounts")
        if not key:
            raise ConfigError("the account stream of USDⓈ-M needs a listen key; ask for one first")
        return Dial(f"{url}/{quote(key, safe='')}")

    def session(self) -> UsdmAccountSession:
        """Return the state machine of one new connection."""
        return UsdmAccountSession(self._instruments.symbol)


def _key_query(name: str, method: HttpMethod, read: Callable[[bytes], T]) -> Query[T]:
    """Return a query about the listen key: it needs the API key and no signature. Asking again does no harm."""
    request = HttpRequest(method, _LISTEN_KEY, auth="key")

    def answer(response: HttpResponse, ts_recv: int) -> T:
        if response.status != 200:
            raise read_error(response, request, "usdm", ts_recv)
        try:
            response.body.decode()
            return read(response.body)
        except DECODE_ERRORS as error:
            # The body may hold the key, with which anybody can listen.
            raise WireError(f"{name}: {error}", b"", venue=VENUE_NAME) from error

    return Query(name, request, answer)
