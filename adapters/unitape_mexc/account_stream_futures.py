"""The private stream of futures: a login on the socket, and pushes about everything of the account.

From "Private channels" of MEXC Contract V1 (2026-11). A login brings no snapshot. What the venue pushes and how it is
read:

- ``order``, ``order.deal``, ``position``: ``Order``, ``Fill``, ``Position``, contracts in base units.
- ``asset``: ``Balance`` without equity and profit, which are not pushed: they have to be asked for.
- ``plan.order``: ``Order`` with its trigger; it has no client id. When triggered it sends an order of another id.
- ``stop.planorder``, take-profit and stop-loss on a position: an ``Order`` for each, see ``order_rows_stops``.
- ``stop.order``, prices attached to an order that is still open: no order yet, so nothing.
- ``risk.limit`` and ``liquidate.risk``: leverage or liquidation price may have changed, so positions are asked for.
- ``adl.level`` and what else there is tells nothing that the contract has a place for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, structs

from unitape.errors import AuthenticationFailed, PermissionDenied, VenueError, WireError
from unitape.spi import (
    MILLISECOND,
    SECOND,
    Closing,
    Credentials,
    Dial,
    Endpoint,
    Instruments,
    Outgoing,
    PositionMode,
    PrivateOutput,
    PrivateSpec,
    Query,
    Ready,
    Recheck,
    Refused,
    TradingSettings,
    Unmapped,
    WireMillis,
)
from unitape_mexc.account import PositionRow, read_position
from unitape_mexc.amounts import number
from unitape_mexc.bodies import VENUE
from unitape_mexc.codec_futures import NO_ANSWER, said, unpacked
from unitape_mexc.errors import FUTURES_CODES, make_error
from unitape_mexc.limits import DAY, HEARTBEAT, PING_EVERY
from unitape_mexc.options import read_options
from unitape_mexc.order_rows_futures import FuturesReader, FuturesRow, FuturesTrade, PlanRow
from unitape_mexc.order_rows_stops import StopRow, stop_orders
from unitape_mexc.signing import futures_signature
from unitape_schemas import Balance, Fill, Order

__all__ = ["FuturesAccountSession", "FuturesAccountStream"]

_SPEC: Final = PrivateSpec(
    route="private",
    channels=("orders", "fills", "balances", "positions"),
    heartbeat=HEARTBEAT,
    # Documented for spot only; making the next connection in time is harmless.
    lifetime=DAY,
    source="MEXC Contract V1: WebSocket API, Private channels; 2026-11",
)
FILTERS: Final = (
    *("order", "order.deal", "position", "asset", "plan.order", "stop.order", "stop.planorder"),
    *("risk.limit", "adl.level"),
)
"""The channels that ``personal.filter`` names; without rules, of all contracts."""

_NOTHING: Final[tuple[PrivateOutput, ...]] = ()
_PING: Final = '{"method":"ping"}'
_PERSONAL: Final = "push.personal."
_SUCCESS: Final = "success"
_CODE: Final = re.compile(r"(?<!\d)(\d{3,4})(?!\d)")
_PASSING: Final = ("time", "busy", "maintenance", "frequen", "too many", "internal", "unavailable")
"""Words of refusals that the same key may not meet at the next attempt."""
_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError, ArithmeticError, KeyError)

T = TypeVar("T", Order, Fill)
_encode = msgspec.json.Encoder().encode


class _Message(Struct, gc=False):
    channel: str
    data: Raw = Raw()
    ts: WireMillis = 0


class _Asset(Struct, gc=False, rename="camel"):
    currency: Annotated[str, Meta(min_length=1)]
    available_balance: Decimal
    frozen_balance: Decimal = Decimal(0)


_message = msgspec.json.Decoder(_Message, strict=False).decode
_order = msgspec.json.Decoder(FuturesRow, strict=False).decode
_deal = msgspec.json.Decoder(FuturesTrade, strict=False).decode
_position = msgspec.json.Decoder(PositionRow, strict=False).decode
_asset = msgspec.json.Decoder(_Asset, strict=False).decode
_plan = msgspec.json.Decoder(PlanRow, strict=False).decode
_stop = msgspec.json.Decoder(StopRow, strict=False).decode


class FuturesAccountStream:
    """How futures stream an account; see ``unitape.spi.AccountStream``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        self._instruments = instruments
        self._settings = settings
        self._options = read_options(settings)

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        return _SPEC

    def open_key(self) -> Query[str] | None:
        """None: there are no listen keys."""
        return None

    def keep_key(self, key: str) -> Query[None] | None:
        """None, likewise."""
        return None

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return where to connect: the login comes on the socket."""
        return Dial(endpoint.ws[_SPEC.route], endpoint.headers)

    def session(self) -> FuturesAccountSession:
        """Return the state machine of one new connection."""
        return FuturesAccountSession(self._instruments, self._settings, self._options)


class FuturesAccountSession:
    """One private connection of futures."""

    def __init__(self, instruments: Instruments, settings: TradingSettings, options: Mapping[str, str]) -> None:
        self.outbox: list[Outgoing] = []
        self._instruments = instruments
        self._mode: PositionMode = settings.position_mode
        self._filters = options["personal_filter"] == "on"
        self._numeric = options["login_time"] == "number"
        self._reader = FuturesReader(instruments, settings.position_mode)
        self._logged_in = False
        self._ready = False
        self._next_ping: int | None = None
        self._readers: Mapping[str, Callable[[Raw, int, int], Sequence[PrivateOutput]]] = {
            "order": self._read_order,
            "order.deal": self._read_deal,
            "position": self._read_position,
            "asset": self._read_asset,
            "plan.order": self._read_plan,
            "stop.planorder": self._read_stop,
            "risk.limit": self._read_risk,
            "liquidate.risk": self._read_risk,
        }

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Log in. ``ts`` is the venue's time in nanoseconds."""
        time = str(ts // MILLISECOND)
        login: dict[str, object] = {
            "method": "login",
            "param": {
                "apiKey": credentials.key,
                "reqTime": int(time) if self._numeric else time,
                "signature": futures_signature(credentials.secret, credentials.key, time),
            },
        }
        self._send({"subscribe": False, **login} if self._filters else login)

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        text = unpacked(data)
        try:
            message = _message(text)
            channel = message.channel
            if channel.startswith(_PERSONAL):
                read = self._readers.get(channel.removeprefix(_PERSONAL))
                return (Unmapped(channel),) if read is None else read(message.data, message.ts * MILLISECOND, ts_recv)
            words = said(message.data)
        except _DECODE_ERRORS as error:
            raise WireError(f"not a private message: {error}", text, venue=VENUE) from None
        if channel == "pong":
            return _NOTHING
        return self._reply(channel, words, text)

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Ping when it is time: the venue wants it even while it is pushing data."""
        if self._next_ping is None:
            self._next_ping = now + int(PING_EVERY * SECOND)
        elif now >= self._next_ping:
            self._next_ping = now + int(PING_EVERY * SECOND)
            self.outbox.append(_PING)
        return _NOTHING

    # Replies ---------------------------------------------------------------------------------------------------------

    def _reply(self, channel: str, words: str, data: bytes) -> Sequence[PrivateOutput]:
        text = data.decode("utf-8", "replace")
        if channel == "rs.error":
            return self._error(words, text)
        if channel == "rs.login":
            if words != _SUCCESS:
                return (_refusal(words, text),)
            if self._logged_in:
                return _NOTHING
            self._logged_in = True
            if not self._filters:
                return self._now_ready(text)
            named = [{"filter": name} for name in FILTERS]
            self._send({"method": "personal.filter", "param": {"filters": named}})
            return _NOTHING
        if channel == "rs.personal.filter":
            return self._now_ready(text) if words == _SUCCESS else (Refused(None, words, raw=text),)
        if channel.startswith(("push.", "rs.")):
            return (Unmapped(channel),)
        raise WireError(f"an unknown channel {channel!r}", data, venue=VENUE)

    def _now_ready(self, text: str) -> Sequence[PrivateOutput]:
        if self._ready:
            return _NOTHING
        self._ready = True
        return (Ready(raw=text),)

    def _error(self, words: str, text: str) -> Sequence[PrivateOutput]:
        if NO_ANSWER in words:
            return (Closing(words, rotate=False),)
        if not self._logged_in:
            return (_refusal(words, text),)
        if "login" in words.lower():
            return (Closing(words, rotate=False),)
        return (Refused(None, words, raw=text),)

    def _send(self, message: object) -> None:
        self.outbox.append(_encode(message).decode())

    # Pushes ----------------------------------------------------------------------------------------------------------

    def _read_order(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return (_pushed(self._reader.order(_order(data), ts_recv), ts_sent),)

    def _read_deal(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return (_pushed(self._reader.fill(_deal(data), ts_recv), ts_sent),)

    def _read_plan(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return (_pushed(self._reader.plan(_plan(data), ts_recv), ts_sent),)

    def _read_stop(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return [_pushed(order, ts_sent) for order in stop_orders(_stop(data), self._instruments, self._mode, ts_recv)]

    def _read_position(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return (structs.replace(read_position(_position(data), self._instruments, ts_recv), ts_sent=ts_sent),)

    def _read_asset(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        row = _asset(data)
        free, locked = number(row.available_balance), number(row.frozen_balance)
        balance = Balance(
            VENUE, "", 0, ts_sent, ts_recv, row.currency, free, locked, None, "futures", available_margin=free
        )
        return (balance, Recheck(("balances",), "the wallet, equity and profit are not pushed"))

    def _read_risk(self, data: Raw, ts_sent: int, ts_recv: int) -> Sequence[PrivateOutput]:
        return (Recheck(("positions",), "leverage or liquidation price may have changed"),)


def _pushed(told: T, ts_sent: int) -> T:
    return structs.replace(told, origin="stream", ts_sent=ts_sent)


def _refusal(words: str, text: str) -> Refused:
    """Return what a refused login means: ``auth`` unless the same key may be let in at the next attempt."""
    found = _CODE.search(words)
    code = found[1] if found is not None and found[1] in FUTURES_CODES else None
    if code is not None:
        kind: type[VenueError] = type(make_error(FUTURES_CODES, code, words))
        final = issubclass(kind, AuthenticationFailed | PermissionDenied)
    else:
        final = not any(word in words.lower() for word in _PASSING)
    return Refused(None, words, "auth" if final else code, raw=text)
