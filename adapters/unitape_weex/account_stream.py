"""The private stream of an account: a signed handshake, then pushes. There is no listen key and no logon message.

- The signature covers timestamp and path, with no method. A bad one is refused at the handshake or ends the
  connection before ``Ready``; the pages do not say which, and both mean that the key does not fit.
- The venue may acknowledge the subscription or say nothing about it. After ``SILENT_YES`` seconds without a refusal it
  counts as accepted.
- Every push carries the account's version. One that is older than the last of its channel is not used: it asks for a
  query instead, because it may be about something that no later push told. Several may carry the same version.
  Executions are facts that stay true, so they pass in any order.
- Contracts push no available balance: what they push is a reason to ask. So is a position whose side is unknown or
  which the account keeps in parts.
- The private ping says ``type`` where the public one says ``event``; both are answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from msgspec import MsgspecError
from msgspec import json as msgspec_json

from unitape.errors import ConfigError, WireError
from unitape.spi import (
    MILLISECOND,
    SECOND,
    Credentials,
    Dial,
    Endpoint,
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
from unitape_schemas import Channel
from unitape_weex import readers
from unitape_weex.account_rows import (
    ContractPush,
    FillsPush,
    MarginPush,
    OrdersPush,
    PositionsPush,
    SpotAccountPush,
    SpotPush,
    contract_push,
    read_balance,
    read_fill,
    read_order,
    read_position,
    spot_push,
)
from unitape_weex.codec import is_service
from unitape_weex.limits import HEARTBEAT
from unitape_weex.signing import headers, socket_text
from unitape_weex.wire import VENUE

__all__ = ["ROUTE", "SILENT_YES", "WeexAccountSession", "WeexAccountStream"]

ROUTE: Final = "private"
SILENT_YES: Final = 3.0
"""Seconds without a refusal after which the subscription counts as accepted, where the venue does not acknowledge."""

_NATIVE: Final[Mapping[Channel, str]] = {
    "orders": "orders",
    "fills": "fill",
    "balances": "account",
    "positions": "positions",
}
_CHANNEL: Final[Mapping[str, Channel]] = {native: channel for channel, native in _NATIVE.items()}
_SUBSCRIBE: Final = 1
_KEY_WORDS: Final = re.compile(
    r"auth|log.?in|signature|access.?(key|sign)|passphrase|permission|api.?key", re.IGNORECASE
)
_DECODE_ERRORS: Final = (MsgspecError, UnicodeError, RecursionError, ValueError, ArithmeticError)


def _spec(channels: tuple[Channel, ...]) -> PrivateSpec:
    return PrivateSpec(
        route=ROUTE,
        channels=channels,
        heartbeat=HEARTBEAT,
        # Not documented: any close is taken as normal.
        lifetime=None,
        keep_every=None,
        confirm_within=10.0,
        source="API documentation V3, private channels, 2026-07",
    )


SPOT_SPEC: Final = _spec(("orders", "fills", "balances"))
CONTRACT_SPEC: Final = _spec(("orders", "fills", "balances", "positions"))


class WeexAccountStream:
    """The private stream of spot or contracts; see ``unitape.spi.private.AccountStream``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings, *, linear: bool) -> None:
        self._instruments = instruments
        self._linear = linear

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        return CONTRACT_SPEC if self._linear else SPOT_SPEC

    def open_key(self) -> Query[str] | None:
        """Return None: there are no listen keys."""
        return None

    def keep_key(self, key: str) -> Query[None] | None:
        """Return None: there are no listen keys."""
        return None

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return where to connect, signed; the venue takes the signature for thirty seconds.

        Raises:
            ConfigError: there is no passphrase, which every key of this venue has.
        """
        passphrase = credentials.passphrase
        if passphrase is None:
            raise ConfigError("a key of weex has a passphrase; it was chosen when the key was made")
        url = endpoint.ws[ROUTE]
        timestamp = ts // MILLISECOND
        text = socket_text(timestamp, urlsplit(url).path)
        return Dial(url, headers(credentials.key, credentials.secret, passphrase, timestamp, text))

    def session(self) -> WeexAccountSession:
        """Return the state machine of one new connection."""
        return WeexAccountSession(self._instruments, self.spec.channels, linear=self._linear)


class WeexAccountSession:
    """One private connection."""

    def __init__(self, instruments: Instruments, channels: tuple[Channel, ...], *, linear: bool) -> None:
        self.outbox: list[Outgoing] = []
        self._instruments = instruments
        self._linear = linear
        self._decode: Callable[[bytes | str], SpotPush | ContractPush] = contract_push if linear else spot_push
        self._names = tuple(_NATIVE[channel] for channel in channels)
        self._versions: dict[Channel, int] = {}
        self._next = _SUBSCRIBE + 1
        self._settled = False
        self._opened = False
        self._asked_at: int | None = None

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Subscribe to everything in one message. Who logs on was told by the handshake."""
        self._opened = True
        message = {"method": "SUBSCRIBE", "params": self._names, "id": _SUBSCRIBE}
        self.outbox.append(msgspec_json.encode(message).decode())

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        try:
            push = self._decode(data)
        except _DECODE_ERRORS as error:
            return self._on_other(data, error)
        try:
            outputs = self._read(push, ts_recv)
        except _DECODE_ERRORS as error:
            raise WireError(str(error), data, venue=VENUE) from error
        return outputs if self._is_new(push) else (_outdated(push),)

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Take silence for consent, once it has lasted long enough."""
        if self._settled or not self._opened:
            return ()
        if self._asked_at is None:
            self._asked_at = now
        if now - self._asked_at < SILENT_YES * SECOND:
            return ()
        self._settled = True
        return (Ready(f"nothing was refused within {SILENT_YES:g} seconds"),)

    # Pushes ----------------------------------------------------------------------------------------------------------

    def _is_new(self, push: SpotPush | ContractPush) -> bool:
        version = push.version
        if version is None:
            return True
        channel = _channel(push)
        last = self._versions.get(channel)
        if last is not None and version < last:
            return isinstance(push, FillsPush)
        self._versions[channel] = version
        return True

    def _read(self, push: SpotPush | ContractPush, ts_recv: int) -> list[PrivateOutput]:
        instruments, sent = self._instruments, push.sent * MILLISECOND
        match push:
            case OrdersPush(rows=rows):
                return [read_order(row, instruments, sent, ts_recv, linear=self._linear) for row in rows]
            case FillsPush(rows=rows):
                return [read_fill(row, instruments, sent, ts_recv) for row in rows]
            case SpotAccountPush(rows=rows):
                return [read_balance(row, sent, ts_recv) for row in rows]
            case MarginPush():
                return [Recheck(("balances",), push.cause)]
            case PositionsPush(rows=rows):
                return self._positions(push, ts_recv)

    def _positions(self, push: PositionsPush, ts_recv: int) -> list[PrivateOutput]:
        sent = push.sent * MILLISECOND
        outputs: list[PrivateOutput] = []
        for row in push.rows:
            position = read_position(row, self._instruments, sent, ts_recv)
            outputs.append(position or Recheck(("positions",), f"a position of side {row.side} of {row.symbol}"))
        return outputs

    # Everything else -------------------------------------------------------------------------------------------------

    def _on_other(self, data: bytes | str, error: Exception) -> Sequence[PrivateOutput]:
        """Take what is no push: answers, pings, or bytes that cannot be read."""
        try:
            message = readers.control(data)
        except _DECODE_ERRORS:
            raise WireError(str(error), data, venue=VENUE) from None
        if message.e is not None:
            if message.e in _CHANNEL and not (message.e == "positions" and not self._linear):
                raise WireError(str(error), data, venue=VENUE)
            return (Unmapped(message.e),)
        if message.event == "ping" or message.type == "ping":
            self.outbox.append(f'{{"method":"PONG","id":{self._next}}}')
            self._next += 1
            return ()
        if message.result is not None:
            return self._answered(message.result, message.id, message.msg or "", data)
        if is_service(message):
            return ()
        name = message.event or message.type or message.method
        if name is None:
            raise WireError("a message that says nothing known", data, venue=VENUE)
        return (Unmapped(name),)

    def _answered(
        self, result: bool, number: int | str | None, text: str, data: bytes | str
    ) -> Sequence[PrivateOutput]:
        """Read an answer. All that is ever asked is one subscription, so a refusal without a number means it, too."""
        about_us = number is None or str(number) == str(_SUBSCRIBE)
        raw = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if result:
            if self._settled or number is None or not about_us:
                return ()
            self._settled = True
            return (Ready(raw),)
        if not about_us:
            return (Unmapped("refusal"),)
        self._settled = True
        words = readers.shown(text) or "refused without a reason"
        return (Refused(None, words, code="auth" if _KEY_WORDS.search(words) else None, raw=raw),)


def _channel(push: SpotPush | ContractPush) -> Channel:
    match push:
        case OrdersPush():
            return "orders"
        case FillsPush():
            return "fills"
        case PositionsPush():
            return "positions"
        case _:
            return "balances"


def _outdated(push: SpotPush | ContractPush) -> Recheck:
    return Recheck((_channel(push),), f"version {push.version} came after a newer one")
