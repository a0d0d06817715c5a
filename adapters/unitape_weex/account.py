"""Balances, positions and settings of an account, from the answers of both markets.

From "Account" of API documentation V3 for spot and contracts (2026-07).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec import json as msgspec_json

from unitape.errors import ConfigError, InvalidRequest, Unsupported
from unitape.spi import MILLISECOND, AccountFlags, Instruments, PositionMode, Query, WireMillis
from unitape_schemas import Balance, MarginMode, Position
from unitape_weex.amounts import amount, average_price, positive
from unitape_weex.private import Cost, PrivateQueries
from unitape_weex.wire import VENUE
from unitape_weex.words import MARGIN_WORDS, POSITION_SIDE_OF

__all__ = [
    "ContractAccount",
    "read_contract_balances",
    "read_contract_flags",
    "read_positions",
    "read_spot_balances",
    "read_spot_flags",
]

_BALANCE: Final = "/capi/v3/account/balance"
_CONFIG: Final = "/capi/v3/account/accountConfig"
_ALL_POSITIONS: Final = "/capi/v3/account/position/allPosition"
_ONE_POSITION: Final = "/capi/v3/account/position/singlePosition"
_LEVERAGE: Final = "/capi/v3/account/leverage"
_MARGIN_TYPE: Final = "/capi/v3/account/marginType"
_MOST_LEVERAGE: Final = 400

_ACCOUNT_ONLY: Final = "canTrade and canWithdraw are the account's; the rights of the key are not told here"
_ONE_WAY: Final = "the account is in one-way mode, in which orders were never tried: switch it to hedge mode"

_Name = Annotated[str, Meta(min_length=1)]


class _SpotBalance(Struct, gc=False):
    asset: _Name
    free: Decimal
    locked: Decimal


class _SpotAccount(Struct, gc=False, rename="camel"):
    balances: tuple[_SpotBalance, ...]
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    update_time: WireMillis | None = None


class _ContractBalance(Struct, gc=False, rename="camel"):
    asset: _Name
    balance: Decimal
    available_balance: Decimal
    frozen: Decimal
    unrealize_pnl: Decimal | None = None


class _PositionRow(Struct, gc=False, rename="camel"):
    symbol: _Name
    side: str
    size: Decimal
    open_value: Decimal
    leverage: Decimal | None = None
    margin_type: str | None = None
    margin_size: Decimal | None = None
    unrealize_pnl: Decimal | None = None
    liquidate_price: Decimal | None = None
    updated_time: WireMillis = 0


class _Config(Struct, gc=False, rename="camel"):
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    dual_side_position: bool | None = None


class _Leverage(Struct, gc=False, rename="camel"):
    symbol: _Name
    cross_leverage: Decimal | None = None
    isolated_long_leverage: Decimal | None = None
    isolated_short_leverage: Decimal | None = None


class _Done(Struct, gc=False):
    code: int | str


_spot_account = msgspec_json.Decoder(_SpotAccount, strict=False).decode
_balances = msgspec_json.Decoder(list[_ContractBalance], strict=False).decode
_positions = msgspec_json.Decoder(list[_PositionRow], strict=False).decode
_config = msgspec_json.Decoder(_Config, strict=False).decode
_leverage = msgspec_json.Decoder(_Leverage, strict=False).decode
_done = msgspec_json.Decoder(_Done, strict=False).decode


def read_spot_balances(body: bytes, ts_recv: int) -> list[Balance]:
    """Read the balances of ``GET /api/v3/account/``."""
    account = _spot_account(body)
    ts = (account.update_time or 0) * MILLISECOND
    return [
        Balance(
            VENUE, "", ts, 0, ts_recv,
            currency=row.asset,
            free=amount(row.free),
            locked=amount(row.locked),
            total=amount(row.free) + amount(row.locked),
            market="spot",
        )
        for row in account.balances
    ]  # fmt: skip


def read_spot_flags(body: bytes, ts_recv: int) -> AccountFlags:
    """Read what the account may do from ``GET /api/v3/account/``."""
    account = _spot_account(body)
    return AccountFlags(can_trade=account.can_trade, can_withdraw=account.can_withdraw, note=_ACCOUNT_ONLY)


def read_contract_balances(body: bytes, ts_recv: int) -> list[Balance]:
    """Read ``GET /capi/v3/account/balance``. ``total`` is the wallet; orders and positions both hold parts of it."""
    return [_contract_balance(row, ts_recv) for row in _balances(body)]


def _contract_balance(row: _ContractBalance, ts_recv: int) -> Balance:
    total, free = amount(row.balance), amount(row.available_balance)
    profit = None if row.unrealize_pnl is None else amount(row.unrealize_pnl)
    return Balance(
        VENUE, "", 0, 0, ts_recv,
        currency=row.asset,
        free=free,
        locked=amount(row.frozen),
        total=total,
        market="contract",
        equity=None if profit is None else total + profit,
        available_margin=free,
        unrealized_pnl=profit,
    )  # fmt: skip


def read_positions(body: bytes, instruments: Instruments, ts_recv: int) -> list[Position]:
    """Read open positions. Long and short of a symbol are two; so are the parts of a separated position."""
    return [_position(row, instruments, ts_recv) for row in _positions(body) if row.size]


def _position(row: _PositionRow, instruments: Instruments, ts_recv: int) -> Position:
    side = POSITION_SIDE_OF.get(row.side.upper())
    if side is None:
        raise ValueError(f"an open position of side {row.side!r}")
    size = amount(row.size)
    modes: dict[str, MarginMode] = {word: mode for mode, word in MARGIN_WORDS.items()}
    return Position(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=row.updated_time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        side=side,
        size=size,
        entry=average_price(amount(row.open_value), size),
        mark=None,
        liquidation=positive(row.liquidate_price),
        unrealized_pnl=None if row.unrealize_pnl is None else amount(row.unrealize_pnl),
        leverage=positive(row.leverage),
        margin_mode=modes.get((row.margin_type or "").upper()),
        margin=None if row.margin_size is None else amount(row.margin_size),
    )


def read_contract_flags(body: bytes, ts_recv: int) -> AccountFlags:
    """Read ``GET /capi/v3/account/accountConfig``."""
    config = _config(body)
    dual = config.dual_side_position
    mode: PositionMode | None = None if dual is None else "hedge" if dual else "one_way"
    note = f"{_ACCOUNT_ONLY}; {_ONE_WAY}" if mode == "one_way" else _ACCOUNT_ONLY
    return AccountFlags(config.can_trade, config.can_withdraw, None, mode, note)


class ContractAccount(PrivateQueries):
    """The part of contract trading that concerns the account."""

    def balances(self) -> Query[list[Balance]]:
        """Ask for every asset of the margin account."""
        return self._ask("balances", "GET", _BALANCE, Cost(5, 10), read_contract_balances)

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Ask for open positions."""

        def read(body: bytes, ts_recv: int) -> list[Position]:
            return read_positions(body, self._instruments, ts_recv)

        if symbol is None:
            return self._ask("positions", "GET", _ALL_POSITIONS, Cost(10, 15), read)
        return self._ask("positions", "GET", _ONE_POSITION, Cost(2, 3), read, query={"symbol": self._raw(symbol)})

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the account may do, and its position mode."""
        return self._ask("account_flags", "GET", _CONFIG, Cost(5, 10), read_contract_flags)

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Set the leverage of a symbol in the margin mode of the settings: cross, or isolated of both sides.

        The venue refuses while orders are open, conditional ones included. Reading raises ``InvalidRequest`` where it
        answers with another leverage.
        """
        if not 1 <= leverage <= _MOST_LEVERAGE:
            raise ConfigError(f"leverage {leverage} is not between 1 and {_MOST_LEVERAGE}")
        cross = self._settings.margin_mode == "cross"
        names = ("crossLeverage",) if cross else ("isolatedLongLeverage", "isolatedShortLeverage")

        def read(body: bytes, ts_recv: int) -> None:
            answer = _leverage(body)
            now = (answer.cross_leverage,) if cross else (answer.isolated_long_leverage, answer.isolated_short_leverage)
            if None in now:
                raise ValueError("an answer without the leverage that was set")
            wrong = [value for value in now if value != leverage]
            if wrong:
                raise InvalidRequest(f"leverage {leverage} was asked for, {wrong[0]} is set", venue=VENUE)

        fields = {"symbol": self._raw(symbol), **dict.fromkeys(names, str(leverage))}
        return self._ask("set_leverage", "POST", _LEVERAGE, Cost(10, 20), read, fields=fields)

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Set the margin mode of a symbol, its positions combined. The venue refuses while orders are open."""
        fields = {"symbol": self._raw(symbol), "marginType": MARGIN_WORDS[mode], "separatedType": "COMBINED"}
        return self._ask("set_margin_mode", "POST", _MARGIN_TYPE, Cost(20, 50), _read_done, fields=fields)

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """The venue has no request for it."""
        raise Unsupported("weex sets the position mode on its own pages, not by API")


def _read_done(body: bytes, ts_recv: int) -> None:
    if str(_done(body).code) != "200":
        raise ValueError("neither success nor refusal")
