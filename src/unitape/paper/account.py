"""The paper account of one market: what it holds, what its open orders tie up, and what a fill does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from unitape.paper.ledger import EXACT, Holding, Wallet, against, along, quotient
from unitape.paper.orders import PaperOrder
from unitape_schemas import Balance, Instrument, Position, PositionSide, Side

__all__ = ["PaperAccount"]

ZERO: Final = Decimal(0)
Mark = Callable[[str], Decimal | None]


class PaperAccount:
    """Balances of a spot market, or wallet and positions of a market of perpetuals."""

    def __init__(self, venue: str, market: str, amounts: Iterable[tuple[str, Decimal]], mark: Mark) -> None:
        self.venue = venue
        self.market = market
        self.wallet = Wallet(amounts)
        self.orders: dict[int, PaperOrder] = {}
        """Open orders by number."""
        self.holdings: dict[tuple[str, PositionSide], Holding] = {}
        self.leverage: dict[str, Decimal] = {}
        self._mark = mark

    # What is free

    def locked(self, currency: str, without: PaperOrder | None = None) -> Decimal:
        """Return what resting orders tie up of a currency, and on margin also what positions do."""
        total = ZERO
        for order in self.orders.values():
            if order is not without and order.rests:
                name, amount = self.need(order)
                if name == currency:
                    total = EXACT.add(total, amount)
        for holding in self.holdings.values():
            if holding.symbol.rpartition(":")[2] == currency:
                total = EXACT.add(total, quotient(holding.cost, self.leverage[holding.symbol]))
        return total

    def free(self, currency: str, without: PaperOrder | None = None) -> Decimal:
        """Return what new orders may use. Losses of open positions count, profits do not."""
        total = EXACT.subtract(self.wallet.total(currency), self.locked(currency, without))
        return EXACT.add(total, min(ZERO, self.unrealized(currency)))

    def need(self, order: PaperOrder, size: Decimal | None = None, price: Decimal | None = None) -> tuple[str, Decimal]:
        """Return the currency and amount that an order ties up for a size, by default for what is left of it."""
        instrument, side = order.instrument, order.new.side
        size = order.left if size is None else size
        price = order.price if price is None else price
        if instrument.kind == "spot":
            if side == "sell":
                return instrument.base, size
            return instrument.quote, EXACT.multiply(size, price or ZERO)
        currency = instrument.settle or instrument.quote
        opening = EXACT.subtract(size, min(size, self.closable(order)))
        return currency, quotient(EXACT.multiply(opening, price or ZERO), self.leverage[instrument.symbol])

    def closable(self, order: PaperOrder) -> Decimal:
        """Return how much of a position an order could close."""
        new = order.new
        if order.instrument.kind == "spot" or new.position_side == along(new.side):
            return ZERO
        holding = self.holdings.get((new.symbol, against(new.side)))
        return ZERO if holding is None else holding.size

    # What happens

    def execute(self, order: PaperOrder, price: Decimal, size: Decimal, fee_rate: Decimal) -> _Booked:
        """Book a fill; return its fee, the fee's currency, and the profit that it realized."""
        instrument, new = order.instrument, order.new
        order.fill(price, size)
        worth = EXACT.multiply(price, size)
        if instrument.kind == "spot":
            if new.side == "buy":
                fee, currency = EXACT.multiply(size, fee_rate), instrument.base
                self.wallet.add(instrument.quote, -worth)
                self.wallet.add(instrument.base, EXACT.subtract(size, fee))
            else:
                fee, currency = EXACT.multiply(worth, fee_rate), instrument.quote
                self.wallet.add(instrument.base, -size)
                self.wallet.add(instrument.quote, EXACT.subtract(worth, fee))
            return fee, currency, None
        currency = instrument.settle or instrument.quote
        fee = EXACT.multiply(worth, fee_rate)
        realized = self._move(order, new.side, price, size)
        self.wallet.add(currency, EXACT.subtract(realized, fee))
        return fee, currency, realized

    def _move(self, order: PaperOrder, side: Side, price: Decimal, size: Decimal) -> Decimal:
        closing = min(size, self.closable(order))
        realized = ZERO
        symbol = order.new.symbol
        if closing:
            holding = self.holdings[symbol, against(side)]
            realized = holding.shrink(price, closing)
            if not holding.size:
                del self.holdings[symbol, against(side)]
        opening = EXACT.subtract(size, closing)
        if opening:
            key = (symbol, along(side))
            self.holdings.setdefault(key, Holding(*key)).grow(price, opening)
        return realized

    def fund(self, symbol: str, currency: str, mark: Decimal, rate: Decimal) -> Decimal:
        """Settle funding: longs pay a positive rate to shorts. Returns what came in."""
        amount = ZERO
        for side in ("long", "short"):
            holding = self.holdings.get((symbol, side))
            if holding is not None:
                due = EXACT.multiply(EXACT.multiply(holding.size, mark), rate)
                amount = EXACT.add(amount, -due if side == "long" else due)
        if amount:
            self.wallet.add(currency, amount)
        return amount

    # What it shows

    def unrealized(self, currency: str) -> Decimal:
        """Return the profit of the open positions that are settled in a currency, at their mark prices."""
        total = ZERO
        for holding in self.holdings.values():
            mark = self._mark(holding.symbol)
            if holding.symbol.rpartition(":")[2] == currency and mark is not None:
                total = EXACT.add(total, holding.profit(mark))
        return total

    def balance(self, currency: str, ts: int) -> Balance:
        """Return what is held of a currency, as an event."""
        total = self.wallet.total(currency)
        locked = self.locked(currency)
        if not self.margin:
            free = EXACT.subtract(total, locked)
            return Balance(self.venue, "", ts, ts, ts, currency, free, locked, total, self.market)
        profit = self.unrealized(currency)
        free = self.free(currency)
        equity = EXACT.add(total, profit)
        return Balance(self.venue, "", ts, ts, ts, currency, free, locked, total, self.market, equity, free, profit)

    @property
    def margin(self) -> bool:
        """True for a market of perpetuals."""
        return bool(self.leverage)

    def prepare(self, instrument: Instrument, leverage: Decimal) -> None:
        """Make ready for a symbol."""
        if instrument.kind != "spot":
            self.leverage.setdefault(instrument.symbol, leverage)

    def positions(self, ts: int, symbol: str | None = None) -> list[Position]:
        """Return the open positions as events."""
        return [
            holding.shown(self.venue, ts, self._mark(holding.symbol), self.leverage[holding.symbol])
            for holding in self.holdings.values()
            if symbol in (None, holding.symbol)
        ]

    def position(self, symbol: str, side: PositionSide, ts: int) -> Position:
        """Return a position as an event, with size 0 when it is closed."""
        holding = self.holdings.get((symbol, side)) or Holding(symbol, side)
        return holding.shown(self.venue, ts, self._mark(symbol), self.leverage[symbol])


_Booked = tuple[Decimal, str, Decimal | None]
