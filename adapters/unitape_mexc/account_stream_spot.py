"""Spot's private stream: a listen key in the address, three channels, binary pushes.

From "Websocket User Data Streams" of MEXC Spot V3 (2026-11). Nothing is pushed that happened before the subscription
was acknowledged. A push names no time of the change: orders carry the time at which the venue sent them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError, WireError
from unitape.spi import (
    MILLISECOND,
    SECOND,
    Closing,
    Credentials,
    Dial,
    Endpoint,
    Instruments,
    Outgoing,
    PrivateOutput,
    PrivateSpec,
    Query,
    Ready,
    Refused,
    Unmapped,
)
from unitape_mexc import schema
from unitape_mexc.amounts import EXACT, average_price, number, number_or_none, positive
from unitape_mexc.bodies import VENUE
from unitape_mexc.codec_spot import INVALID_KEY, is_text, listed, read_reply, said
from unitape_mexc.limits import DAY, HEARTBEAT, PING_EVERY, SPOT_LIMITS
from unitape_mexc.private import SpotQueries
from unitape_mexc.words import SPOT_PUSH_SIDES, SPOT_PUSH_STATUS, SPOT_PUSH_TYPES
from unitape_schemas import Balance, Fill, Order

__all__ = ["PRIVATE_CHANNELS", "SpotAccountSession", "SpotAccountStream"]

PRIVATE_CHANNELS: Final = (
    "spot@private.orders.v3.api.pb",
    "spot@private.deals.v3.api.pb",
    "spot@private.account.v3.api.pb",
)
KEEP_EVERY: Final = 25 * 60.0
"""A listen key lives for 60 minutes; the venue asks for an extension every 30."""

_SPEC: Final = PrivateSpec(
    route="private",
    channels=("orders", "fills", "balances"),
    heartbeat=HEARTBEAT,
    lifetime=DAY,
    keep_every=KEEP_EVERY,
    source="MEXC Spot V3: Websocket User Data Streams; 2026-11",
)
_NOTHING: Final[tuple[PrivateOutput, ...]] = ()
_PING: Final = '{"method":"PING"}'
_PONG: Final = "PONG"
_REQUEST: Final = 1
_LATEST_MS: Final = 9_000_000_000_000
_MAX_NAMES: Final = 1024

_encode = msgspec.json.Encoder().encode


class _Key(Struct, gc=False, rename="camel"):
    listen_key: str


_key = msgspec.json.Decoder(_Key).decode


class SpotAccountStream(SpotQueries):
    """How spot streams an account; see ``unitape.spi.AccountStream``."""

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        return _SPEC

    def open_key(self) -> Query[str]:
        """Ask for a listen key. One that nobody uses ends by itself: asking again does no harm."""

        def read(body: bytes, ts_recv: int) -> str:
            found = _key(body).listen_key
            if not found:
                raise ValueError("the answer holds no listen key")
            return found

        return self._ask("open_key", "POST", "userDataStream", {}, read, write=False, auth=self._auth)

    def keep_key(self, key: str) -> Query[None]:
        """Let a listen key live for another 60 minutes."""

        def read(body: bytes, ts_recv: int) -> None:
            return None

        return self._ask("keep_key", "PUT", "userDataStream", {"listenKey": key}, read, write=False, auth=self._auth)

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return where to connect.

        Raises:
            ConfigError: there is no listen key.
        """
        if not key:
            raise ConfigError("the private stream of mexc spot needs a listen key")
        return Dial(f"{endpoint.ws[_SPEC.route]}?listenKey={quote(key, safe='')}", endpoint.headers)

    def session(self) -> SpotAccountSession:
        """Return the state machine of one new connection."""
        return SpotAccountSession(self._instruments)

    @property
    def _auth(self) -> Literal["key", "signed"]:
        return "key" if self._options["listen_key"] == "key" else "signed"


class SpotAccountSession:
    """One private connection of spot."""

    def __init__(self, instruments: Instruments) -> None:
        self.outbox: list[Outgoing] = []
        self._reader = SpotPushes(instruments)
        self._confirmed: set[str] = set()
        self._next_ping: int | None = None

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Subscribe; who it is, the listen key in the address says."""
        request = {"method": "SUBSCRIPTION", "params": PRIVATE_CHANNELS, "id": _REQUEST}
        self.outbox.append(_encode(request).decode())

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message: a push, or a reply as text.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if isinstance(data, str) or (data[:1] != b"\n" and is_text(data)):
            return self._text(data)
        return self._reader.read(data, ts_recv)

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Ping when it is time."""
        if self._next_ping is None:
            self._next_ping = now + int(PING_EVERY * SECOND)
        elif now >= self._next_ping:
            self._next_ping = now + int(PING_EVERY * SECOND)
            self.outbox.append(_PING)
        return _NOTHING

    def _text(self, data: bytes | str) -> Sequence[PrivateOutput]:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.strip() == INVALID_KEY:
            return (Closing(INVALID_KEY, rotate=False),)
        reply = read_reply(data)
        msg = said(reply, data)
        if msg.upper() == _PONG:
            return _NOTHING
        accepted, refused, reason = listed(msg)
        if reply.code or refused:
            # The venue's word for a channel that does not exist is the same as for one that is not permitted.
            names = f": {', '.join(refused)}" if refused else ""
            return (Refused(None, f"{reason or msg}{names}", raw=text),)
        if not accepted and reply.id != _REQUEST:
            return _NOTHING
        ready = self._confirmed.issuperset(PRIVATE_CHANNELS)
        # A reply that names channels confirms these; one that names none, all that its request named.
        self._confirmed.update(accepted or PRIVATE_CHANNELS)
        if ready or not self._confirmed.issuperset(PRIVATE_CHANNELS):
            return _NOTHING
        return (Ready(raw=text),)


class SpotPushes:
    """Reads private pushes."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._readers: dict[str, Callable[[Any, Any, int], PrivateOutput]] = {
            "privateOrders": self._order,
            "privateDeals": self._fill,
            "privateAccount": self._balance,
        }
        self.unknown_fields: dict[str, int] = {}
        """Fields that the schema does not have, by ``Message.number``, and how often each was met."""

    def read(self, data: bytes, ts_recv: int) -> Sequence[PrivateOutput]:
        """Return what one push says.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if len(data) > SPOT_LIMITS.max_frame:
            raise WireError("a frame beyond all bounds", data, venue=VENUE)
        try:
            push = schema.parser(schema.WRAPPER)(data)
            name = push.WhichOneof("body")
            if not push.channel.startswith("spot@"):
                raise ValueError("a push without a channel")
            outputs: list[PrivateOutput] = []
            if name in self._readers:
                outputs.append(self._readers[name](getattr(push, name), push, ts_recv))
            elif name is not None:
                outputs.append(Unmapped(push.channel))
            outputs += self._strangers(push)
            return outputs
        except (ValueError, UnicodeError, ArithmeticError, KeyError) as error:
            raise WireError(f"not a private push: {error}", data, venue=VENUE) from None

    def _order(self, row: Any, push: Any, ts_recv: int) -> Order:
        kind, tif = SPOT_PUSH_TYPES.get(row.orderType, (None, None))
        filled = _amount(row.cumulativeQuantity) or Decimal(0)
        average = average_price(_amount(row.cumulativeAmount), filled)
        if average is None and filled:
            average = positive(_amount(row.avgPrice))
        sent = _nanos(push.sendTime)
        changed = _nanos(push.createTime) or sent
        return Order(
            venue=VENUE,
            symbol=self._symbol(push),
            ts_event=changed,
            ts_sent=sent,
            ts_recv=ts_recv,
            id=_named(row.id),
            client_id=row.clientId or None,
            side=SPOT_PUSH_SIDES[row.tradeType],
            kind=kind,
            tif=tif,
            price=None if kind == "market" else positive(_amount(row.price)),
            trigger=positive(_amount(row.triggerPrice)),
            # A market buy is ordered by cost, and has no size then.
            size=positive(_amount(row.quantity)),
            filled=filled,
            average=average,
            status=SPOT_PUSH_STATUS.get(row.status, "unknown"),
            reduce_only=None,
            position_side=None,
            ts_created=_nanos(row.createTime),
            ts_updated=changed,
            origin="stream",
            raw_status=str(row.status),
        )

    def _fill(self, row: Any, push: Any, ts_recv: int) -> Fill:
        return Fill(
            venue=VENUE,
            symbol=self._symbol(push),
            ts_event=_nanos(row.time),
            ts_sent=_nanos(push.sendTime),
            ts_recv=ts_recv,
            id=_named(row.tradeId),
            order_id=_named(row.orderId),
            client_id=row.clientOrderId or None,
            side=SPOT_PUSH_SIDES[row.tradeType],
            price=_needed(row.price),
            size=_needed(row.quantity),
            fee=_amount(row.feeAmount),
            fee_currency=row.feeCurrency or None,
            liquidity="maker" if row.isMaker else "taker",
            realized_pnl=None,
            origin="stream",
        )

    def _balance(self, row: Any, push: Any, ts_recv: int) -> Balance:
        # An amount of zero may be left out.
        free = _amount(row.balanceAmount) or Decimal(0)
        locked = _amount(row.frozenAmount) or Decimal(0)
        return Balance(
            VENUE,
            "",
            _nanos(row.time),
            _nanos(push.sendTime),
            ts_recv,
            _named(row.vcoinName),
            free,
            locked,
            EXACT.add(free, locked),
            "spot",
        )

    def _symbol(self, push: Any) -> str:
        return self._instruments.symbol(_named(push.symbol))

    def _strangers(self, push: Any) -> list[PrivateOutput]:
        """Count what the schema does not have. Told once, as nothing is lost by it; an unknown body every time."""
        told: list[PrivateOutput] = []
        for name in schema.unknown_fields(push):
            message, _, field = name.partition(".")
            is_body = message == schema.WRAPPER and int(field) > 300
            if is_body or name not in self.unknown_fields:
                told.append(Unmapped(f"{name} as body" if is_body else name))
            if len(self.unknown_fields) < _MAX_NAMES or name in self.unknown_fields:
                self.unknown_fields[name] = self.unknown_fields.get(name, 0) + 1
        return told


def _amount(text: str) -> Decimal | None:
    """Return a number; None for an empty text, which is how absent ones come."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or "_" in text:
        raise ValueError(f"not a number: {text!r}")
    return number_or_none(value)


def _needed(text: str) -> Decimal:
    value = _amount(text)
    if value is None:
        raise ValueError("a price or size is missing")
    return number(value)


def _named(text: str) -> str:
    if not text:
        raise ValueError("an id, a symbol or a currency is missing")
    return text


def _nanos(millis: int) -> int:
    if not 0 <= millis < _LATEST_MS:
        raise ValueError(f"not a time: {millis}")
    return millis * MILLISECOND
