"""A paper account in a file, so that one command goes on where the last one ended."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError
from unitape.paper.exchange import PaperExchange
from unitape.paper.ledger import Holding
from unitape.paper.orders import PaperOrder
from unitape.spi import NewOrder
from unitape_schemas import Fill, Instrument, OrderStatus, PositionSide

__all__ = ["load_account", "save_account"]

VERSION: Final = 1


class _Ended(Struct):
    number: int
    new: NewOrder
    symbol: str
    size: Decimal | None
    price: Decimal | None
    filled: Decimal
    cost: Decimal
    status: OrderStatus
    raw: str
    created: int
    updated: int


class _Held(Struct):
    market: str
    symbol: str
    side: PositionSide
    size: Decimal
    cost: Decimal


class _File(Struct):
    version: int
    venue: str
    totals: dict[str, dict[str, Decimal]]
    leverage: dict[str, Decimal]
    held: list[_Held]
    instruments: list[Instrument]
    orders: list[_Ended]
    fills: list[Fill]
    numbers: tuple[int, int]


def save_account(exchange: PaperExchange, path: Path) -> None:
    """Write an account; the file is whole or the one before. Orders that are open are canceled first: between two
    commands nobody watches the market for them.
    """
    for order in exchange.open_orders():
        exchange.cancel(order)
    accounts = exchange.accounts
    content = _File(
        VERSION,
        exchange.venue,
        {market: account.wallet.totals for market, account in accounts.items()},
        {symbol: rate for account in accounts.values() for symbol, rate in account.leverage.items()},
        [
            _Held(market, held.symbol, held.side, held.size, held.cost)
            for market, account in accounts.items()
            for held in account.holdings.values()
        ],
        exchange.instruments(),
        [
            _Ended(
                one.number, one.new, one.new.symbol, one.size, one.price, one.filled, one.cost, one.status, one.raw,
                one.ts_created, one.ts_updated,
            )
            for one in exchange.orders.values()
        ],
        list(exchange.fills),
        exchange.numbers,
    )  # fmt: skip
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_account(exchange: PaperExchange, path: Path) -> None:
    """Put an account back into a new exchange; nothing happens where there is no file.

    Raises:
        ConfigError: the file is no paper account, or another venue's.
    """
    if not path.exists():
        return
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no paper account, name another file: {error}") from error
    if content.version != VERSION:
        raise ConfigError(f"{path} is a paper account of version {content.version}, not {VERSION}: name another file")
    if content.venue != exchange.venue:
        raise ConfigError(f"{path} is a paper account of {content.venue}: name another file for {exchange.venue}")
    listed = {one.symbol: one for one in content.instruments}
    for instrument in content.instruments:
        exchange.account(instrument)
    for market, totals in content.totals.items():
        exchange.open_account(market).wallet.totals = dict(totals)
        exchange.accounts[market].leverage.update(
            (symbol, rate) for symbol, rate in content.leverage.items() if listed[symbol].market == market
        )
    for row in content.held:
        holding = Holding(row.symbol, row.side)
        holding.size, holding.cost = row.size, row.cost
        exchange.accounts[row.market].holdings[row.symbol, row.side] = holding
    for one in content.orders:
        order = PaperOrder(one.number, one.new, listed[one.symbol], one.created)
        order.size, order.price, order.filled, order.cost = one.size, one.price, one.filled, one.cost
        order.ts_updated, order.waits = one.updated, False
        exchange.restore(order, one.status, one.raw)
    exchange.fills.extend(content.fills)
    exchange.numbers = content.numbers
