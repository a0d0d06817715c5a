"""The account stream of spot: a subscription on a connection of the WebSocket API.

From "User Data Streams" and "WebSocket API", Session Authentication and User Data Stream requests, of
binance-spot-api-docs (2026-07). An execution gives the order as it is now and, right behind it, its fill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from unitape.errors import ConfigError, WireError
from unitape.spi import (
    MILLISECOND,
    Closing,
    Credentials,
    Dial,
    Endpoint,
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
    WireMillis,
)
from unitape_binance.amounts import WireAmount, amount, average_price, positive
from unitape_binance.frames import Frame, checked, parse_frame, shutdown, spoilt
from unitape_binance.limits import SPOT_API_HEARTBEAT
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME, SymbolOf
from unitape_binance.signing import is_private_key, recv_window
from unitape_binance.websocket_api import ApiAnswer, logon_frame, read_frame, signed_frame
from unitape_binance.words import CONDITIONAL_KINDS, KIND_OF, LIMIT_KINDS, SIDE_OF, STATUS, TIF_OF
from unitape_schemas import Balance, Fill, Liquidity, Order

__all__ = ["SPOT_ACCOUNT_STREAM", "SpotAccountSession", "SpotAccountStream"]

_DAY: Final = 24 * 3600.0
_NOTHING: Final[tuple[PrivateOutput, ...]] = ()

SPOT_ACCOUNT_STREAM: Final = PrivateSpec(
    route="api",
    channels=("orders", "fills", "balances"),
    heartbeat=SPOT_API_HEARTBEAT,
    lifetime=_DAY,
    source="binance-spot-api-docs: User Data Streams; WebSocket API, General API Information; 2026-07",
)

_LOGON: Final = "logon"
_SUBSCRIBE: Final = "subscribe"

_KEY_FAULTS: Final = frozenset({-1002, -1022, -2014, -2015})
"""Codes that say that the key, its signature or its rights are wrong; trying again helps against none of them."""
_SUBSCRIBED_ALREADY: Final = -2035

_Name = Annotated[str, Meta(min_length=1)]


class _Execution(
    Struct,
    gc=False,
    rename={
        "sent": "E",
        "ts": "T",
        "symbol": "s",
        "client_id": "c",
        "original_id": "C",
        "side": "S",
        "type": "o",
        "tif": "f",
        "size": "q",
        "cost": "Q",
        "price": "p",
        "trigger": "P",
        "what": "x",
        "status": "X",
        "order_id": "i",
        "last_size": "l",
        "filled": "z",
        "last_price": "L",
        "paid": "Z",
        "fee": "n",
        "fee_asset": "N",
        "trade_id": "t",
        "maker": "m",
        "created": "O",
    },
):
    """``executionReport``."""

    sent: WireMillis
    ts: WireMillis
    symbol: _Name
    client_id: str
    side: Literal["BUY", "SELL"]
    type: _Name
    tif: str
    size: WireAmount
    price: WireAmount
    trigger: WireAmount
    what: _Name
    status: _Name
    order_id: Annotated[int, Meta(ge=0)]
    last_size: WireAmount
    filled: WireAmount
    last_price: WireAmount
    paid: WireAmount
    trade_id: int
    maker: bool
    created: WireMillis = 0
    original_id: str = ""
    cost: WireAmount | None = None
    fee: WireAmount | None = None
    fee_asset: str | None = None


class _Held(Struct, gc=False, rename={"asset": "a", "free": "f", "locked": "l"}):
    asset: _Name
    free: WireAmount
    locked: WireAmount


class _Holdings(Struct, gc=False, rename={"sent": "E", "ts": "u", "balances": "B"}):
    """``outboundAccountPosition``: the assets that may have changed, as they are now."""

    sent: WireMillis
    ts: WireMillis
    balances: tuple[_Held, ...]


class _Change(Struct, gc=False, rename={"asset": "a", "change": "d"}):
    """``balanceUpdate`` and ``externalLockUpdate``: by how much one asset changed."""

    asset: _Name
    change: WireAmount


class _Ended(Struct, gc=False, rename={"sent": "E"}):
    sent: WireMillis = 0


class _ListState(Struct, gc=False, rename={"symbol": "s", "list_id": "g"}):
    symbol: _Name
    list_id: int


class _Fault(Struct, gc=False):
    code: int | None = None
    msg: str = ""


_fault = msgspec.json.Decoder(_Fault, strict=False).decode


def _execution(row: _Execution, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    symbol, ts, sent = symbol_of(row.symbol), row.ts * MILLISECOND, row.sent * MILLISECOND
    kind = KIND_OF["spot"].get(row.type)
    post_only = row.type == "LIMIT_MAKER"
    timed = kind is None or kind in LIMIT_KINDS
    filled, paid = amount(row.filled), Decimal(row.paid)
    # When an order is canceled, c may be the id of the cancel; C is the order's own then.
    client_id = (row.original_id if row.what == "CANCELED" else "") or row.client_id or None
    order = Order(
        venue=VENUE_NAME,
        symbol=symbol,
        ts_event=ts,
        ts_sent=sent,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=client_id,
        side=SIDE_OF[row.side],
        kind=kind,
        tif="post_only" if post_only else TIF_OF.get(row.tif) if timed else None,
        price=positive(row.price) if timed else None,
        trigger=positive(row.trigger) if kind in CONDITIONAL_KINDS else None,
        size=None if positive(row.cost) is not None else positive(row.size),
        filled=filled,
        average=average_price(paid, filled),
        status=STATUS.get(row.status, "unknown"),
        reduce_only=None,
        position_side=None,
        ts_created=row.created * MILLISECOND,
        ts_updated=ts,
        origin="stream",
        raw_status=row.status,
    )
    if row.what != "TRADE":
        return (order,)
    liquidity: Liquidity = "maker" if row.maker else "taker"
    fill = Fill(
        venue=VENUE_NAME,
        symbol=symbol,
        ts_event=ts,
        ts_sent=sent,
        ts_recv=ts_recv,
        id=str(row.trade_id),
        order_id=order.id or "",
        client_id=client_id,
        side=order.side,
        price=Decimal(row.last_price),
        size=Decimal(row.last_size),
        fee=None if row.fee is None else amount(row.fee),
        fee_currency=row.fee_asset,
        liquidity=liquidity,
        realized_pnl=None,
        origin="stream",
    )
    return (order, fill)


def _holdings(row: _Holdings, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    ts, sent = row.ts * MILLISECOND, row.sent * MILLISECOND
    return [
        Balance(
            VENUE_NAME,
            "",
            ts,
            sent,
            ts_recv,
            held.asset,
            amount(held.free),
            amount(held.locked),
            amount(held.free) + amount(held.locked),
            "spot",
        )
        for held in row.balances
    ]


def _change(row: _Change, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    return (Recheck(("balances",), f"{row.asset} changed by {row.change}"),)


def _ended(row: _Ended, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    return (Closing("the subscription to the account ended (eventStreamTerminated)", rotate=False),)


def _shutdown(row: _Ended, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    return (shutdown(),)


def _list_state(row: _ListState, symbol_of: SymbolOf, ts_recv: int) -> Sequence[PrivateOutput]:
    return (Unmapped("listStatus"),)


_Reader = Callable[[Any, SymbolOf, int], Sequence[PrivateOutput]]
_READERS: Final[Mapping[str, tuple[Callable[[Raw | bytes | str], Any], _Reader]]] = {
    name: (msgspec.json.Decoder(kind, strict=False).decode, reader)
    for name, kind, reader in (
        ("executionReport", _Execution, _execution),
        ("outboundAccountPosition", _Holdings, _holdings),
        ("balanceUpdate", _Change, _change),
        ("externalLockUpdate", _Change, _change),
        ("listStatus", _ListState, _list_state),
        ("eventStreamTerminated", _Ended, _ended),
        ("serverShutdown", _Ended, _shutdown),
    )
}


class SpotAccountSession:
    """One connection to the WebSocket API that carries one subscription to the account.

    With an Ed25519 key it logs on and subscribes then; with any other key it signs the subscription itself. What is in
    the outbox is signed and is never written down.
    """

    def __init__(self, symbol_of: SymbolOf, window: float) -> None:
        self.outbox: list[Outgoing] = []
        self._symbol_of = symbol_of
        self._window = window
        self._secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "SpotAccountSession()"

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Put the logon, or the signed subscription, into the outbox."""
        self._secrets = credentials.hidden()
        if is_private_key(credentials.secret):
            frame = logon_frame("spot", _LOGON, credentials, ts, self._window)
        else:
            method = "userDataStream.subscribe.signature"
            frame = signed_frame("spot", method, _SUBSCRIBE, {}, credentials, ts, self._window)
        self.outbox.append(frame.decode())

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        checked(data)
        answer = read_frame(data.encode() if isinstance(data, str) else data)
        if answer is not None:
            return self._answered(answer)
        frame = parse_frame(data)
        if bytes(frame.event):
            return self._event(parse_frame(frame.event), frame.event, ts_recv)
        return self._event(frame, data, ts_recv)

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Do nothing: the venue pings with the protocol's own pings, and answers when it is subscribed."""
        return _NOTHING

    def _event(self, frame: Frame, data: Raw | bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        name = frame.event_type
        if name is None:
            raise spoilt("neither an event nor an answer", data if isinstance(data, str) else bytes(data))
        known = _READERS.get(name)
        if known is None:
            return (Unmapped(name),)
        decode, read = known
        try:
            return read(decode(data), self._symbol_of, ts_recv)
        except DECODE_ERRORS as error:
            raise spoilt(f"{name}: {error}", data if isinstance(data, str) else bytes(data)) from error

    def _answered(self, answer: ApiAnswer) -> Sequence[PrivateOutput]:
        if answer.response.status != 200:
            return self._refused(answer.response)
        if answer.id == _LOGON:
            self.outbox.append(msgspec.json.encode({"id": _SUBSCRIBE, "method": "userDataStream.subscribe"}).decode())
        elif answer.id == _SUBSCRIBE:
            # What the venue answers to a logon holds the key, so nothing of answers is kept.
            return (Ready(),)
        return _NOTHING

    def _refused(self, response: HttpResponse) -> Sequence[PrivateOutput]:
        try:
            fault = _fault(response.body)
        except DECODE_ERRORS as error:
            raise WireError(f"WebSocket API: {error}", response.body, venue=VENUE_NAME) from error
        if fault.code == _SUBSCRIBED_ALREADY:
            return (Ready(),)
        text = fault.msg or f"refused with status {response.status}"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        keyed = response.status == 401 or fault.code in _KEY_FAULTS
        code = "auth" if keyed else None if fault.code is None else str(fault.code)
        return (Refused(None, text if fault.code is None else f"{fault.code}: {text}", code),)


class SpotAccountStream:
    """The account stream of spot; see ``unitape.spi.AccountStream``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        recv_window(settings.recv_window, "spot")
        self._instruments = instruments
        self._window = settings.recv_window

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        return SPOT_ACCOUNT_STREAM

    def open_key(self) -> Query[str] | None:
        """Spot has no listen keys any more."""
        return None

    def keep_key(self, key: str) -> Query[None] | None:
        """Spot has no listen keys any more."""
        return None

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return the address of the WebSocket API.

        Raises:
            ConfigError: the environment has none.
        """
        url = endpoint.ws.get(SPOT_ACCOUNT_STREAM.route)
        if url is None:
            raise ConfigError(f"{endpoint.rest} serves market data only; it streams no accounts")
        return Dial(url)

    def session(self) -> SpotAccountSession:
        """Return the state machine of one new connection."""
        return SpotAccountSession(self._instruments.symbol, self._window)
