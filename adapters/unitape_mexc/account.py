"""Balances, positions, and what can be set about an account, on both markets.

From "Spot Account/Trade" of MEXC Spot V3 and "Account and trading endpoints" of MEXC Contract V1 (2026-11).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from unitape.errors import ConfigError, Unsupported
from unitape.spi import MILLISECOND, AccountFlags, Instruments, PositionMode, Query, WireMillis
from unitape_mexc.amounts import EXACT, base_units, number, number_or_none, positive
from unitape_mexc.bodies import VENUE
from unitape_mexc.private import Data, FuturesQueries, SpotQueries
from unitape_mexc.words import MARGIN_CODES, MARGIN_OF, POSITION_CODES, POSITION_MODE_OF, POSITION_MODES, POSITION_OF
from unitape_schemas import Balance, MarginMode, Position, PositionSide

__all__ = ["FuturesAccount", "PositionRow", "SpotAccount", "done", "read_position", "read_positions"]

_MOST_LEVERAGE: Final = 500
_CLOSED: Final = 3
_NO_POSITIONS: Final = "spot has no positions, leverage or margin modes"
_ACCOUNT_ONLY: Final = "these are the account's rights; the answer does not tell the key's"
_NOT_TOLD: Final = "the venue tells the position mode here and nothing about the key"


class _Asset(Struct, gc=False):
    asset: Annotated[str, Meta(min_length=1)]
    free: Decimal
    locked: Decimal


class _SpotAccount(Struct, gc=False, rename="camel"):
    balances: list[_Asset]
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    update_time: WireMillis | None = None


class _Wallet(Struct, gc=False, rename="camel"):
    currency: Annotated[str, Meta(min_length=1)]
    available_balance: Decimal
    frozen_balance: Decimal
    equity: Decimal | None = None
    unrealized: Decimal | None = None
    available_open: Decimal | None = None


class PositionRow(Struct, gc=False, rename="camel"):
    """A position, in contracts."""

    symbol: Annotated[str, Meta(min_length=1)]
    position_type: int
    hold_vol: Decimal
    state: int = 1
    open_type: int = 0
    hold_avg_price: Decimal | None = None
    liquidate_price: Decimal | None = None
    im: Decimal | None = None
    leverage: Decimal | None = None
    update_time: WireMillis | None = None


class _Mode(Struct, gc=False, rename="camel"):
    position_mode: int


class _Done(Struct, gc=False):
    success: bool


_spot_account = msgspec.json.Decoder(_SpotAccount, strict=False).decode
_wallets = msgspec.json.Decoder(Data[list[_Wallet]], strict=False).decode
_positions = msgspec.json.Decoder(Data[list[PositionRow] | None], strict=False).decode
_mode = msgspec.json.Decoder(Data[int | _Mode], strict=False).decode
_done = msgspec.json.Decoder(_Done).decode


def done(body: bytes, ts_recv: int) -> None:
    """Read an envelope that says no more than that it was done."""
    _done(body)


class SpotAccount(SpotQueries):
    """The part of spot trading that concerns the account."""

    def balances(self) -> Query[list[Balance]]:
        """Ask for every asset that is not zero."""

        def read(body: bytes, ts_recv: int) -> list[Balance]:
            account = _spot_account(body)
            ts = (account.update_time or 0) * MILLISECOND
            return [_spot_balance(row, ts, ts_recv) for row in account.balances]

        return self._ask("balances", "GET", "account", {}, read, weight=10, also=(("slow", 1),))

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the account may do."""

        def read(body: bytes, ts_recv: int) -> AccountFlags:
            account = _spot_account(body)
            return AccountFlags(account.can_trade, account.can_withdraw, note=_ACCOUNT_ONLY)

        return self._ask("account_flags", "GET", "account", {}, read, weight=10, also=(("slow", 1),))

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Unsupported."""
        raise Unsupported(_NO_POSITIONS)

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Unsupported."""
        raise Unsupported(_NO_POSITIONS)

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Unsupported."""
        raise Unsupported(_NO_POSITIONS)

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """Unsupported."""
        raise Unsupported(_NO_POSITIONS)

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """Unsupported."""
        raise Unsupported(_NO_POSITIONS)


class FuturesAccount(FuturesQueries):
    """The part of futures trading that concerns the account."""

    def balances(self) -> Query[list[Balance]]:
        """Ask for every currency of the margin account."""

        def read(body: bytes, ts_recv: int) -> list[Balance]:
            return [_margin_balance(row, ts_recv) for row in _wallets(body).data]

        return self._get("balances", "account/assets", {}, read)

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Ask for open positions, in base units. The venue tells no unrealized profit of theirs."""

        def read(body: bytes, ts_recv: int) -> list[Position]:
            return read_positions(body, self._instruments, ts_recv)

        return self._get("positions", "position/open_positions", {"symbol": self._raw_or_none(symbol)}, read)

    def account_flags(self) -> Query[AccountFlags]:
        """Ask for the position mode."""

        def read(body: bytes, ts_recv: int) -> AccountFlags:
            data = _mode(body).data
            code = data.position_mode if isinstance(data, _Mode) else data
            return AccountFlags(position_mode=POSITION_MODE_OF.get(code), note=_NOT_TOLD)

        return self._get("account_flags", "position/position_mode", {}, read)

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Set the leverage of one side of a symbol; see the option ``leverage_side``."""
        if not 1 <= leverage <= _MOST_LEVERAGE:
            raise ConfigError(f"leverage {leverage} is not between 1 and {_MOST_LEVERAGE}")
        side = self._options["leverage_side"]
        if not side and self._settings.position_mode == "hedge":
            raise ConfigError("in hedge mode each side has a leverage of its own: set the option leverage_side")
        body = {
            "openType": MARGIN_CODES[self._settings.margin_mode],
            "leverage": leverage,
            "symbol": self._raw(symbol),
            "positionType": POSITION_CODES["short" if side == "short" else "long"],
        }
        return self._post("set_leverage", "position/change_leverage", body, done)

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Unsupported: each order says it."""
        raise Unsupported("mexc futures takes the margin mode with each order: set TradingSettings.margin_mode")

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """Set the position mode; the venue takes it without open orders and positions only."""
        body = {"positionMode": POSITION_MODES[mode]}
        return self._post("set_position_mode", "position/change_position_mode", body, done)

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """Unsupported: the venue's own request closes every position of the account."""
        raise Unsupported("mexc futures closes one position by a reduce-only market order")


def read_positions(body: bytes, instruments: Instruments, ts_recv: int) -> list[Position]:
    """Read open positions; rows that hold nothing say nothing."""
    return [read_position(row, instruments, ts_recv) for row in _positions(body).data or () if row.hold_vol]


def read_position(row: PositionRow, instruments: Instruments, ts_recv: int) -> Position:
    """Read one position; size 0 says that it is closed."""
    instrument = instruments.get_raw(row.symbol)
    if instrument is None:
        raise ValueError(f"the contract size of {row.symbol} is not known, so its sizes mean nothing")
    size = Decimal(0) if row.state == _CLOSED else base_units(row.hold_vol, instrument)
    return Position(
        venue=VENUE,
        symbol=instrument.symbol,
        ts_event=(row.update_time or 0) * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        side=POSITION_OF[row.position_type],
        size=size,
        # A closed position goes on showing what it was entered at.
        entry=positive(row.hold_avg_price) if size else None,
        mark=None,
        liquidation=positive(row.liquidate_price),
        unrealized_pnl=None,
        leverage=positive(row.leverage),
        margin_mode=MARGIN_OF.get(row.open_type),
        margin=number_or_none(row.im),
    )


def _spot_balance(row: _Asset, ts: int, ts_recv: int) -> Balance:
    free, locked = number(row.free), number(row.locked)
    return Balance(VENUE, "", ts, 0, ts_recv, row.asset, free, locked, EXACT.add(free, locked), "spot")


def _margin_balance(row: _Wallet, ts_recv: int) -> Balance:
    equity, unrealized = number_or_none(row.equity), number_or_none(row.unrealized)
    free = number(row.available_balance)
    wallet = None if equity is None or unrealized is None else number(EXACT.subtract(equity, unrealized))
    margin = free if row.available_open is None else number(row.available_open)
    frozen = number(row.frozen_balance)
    return Balance(VENUE, "", 0, 0, ts_recv, row.currency, free, frozen, wallet, "futures", equity, margin, unrealized)
