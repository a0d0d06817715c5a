"""A paper order as it moves."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from unitape.paper.ledger import EXACT, against, quotient
from unitape.spi import NewOrder
from unitape_schemas import Instrument, Order, OrderStatus

__all__ = ["PaperOrder"]

ZERO: Final = Decimal(0)
WAITS: Final = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})
LIMITS: Final = frozenset({"limit", "stop_limit", "take_profit_limit"})


class PaperOrder:
    """One order. ``ahead`` is the size that must trade at its price before it does."""

    __slots__ = (
        "ahead",
        "cost",
        "filled",
        "id",
        "instrument",
        "new",
        "number",
        "price",
        "raw",
        "size",
        "status",
        "ts_created",
        "ts_updated",
        "waits",
    )

    def __init__(self, number: int, new: NewOrder, instrument: Instrument, ts: int) -> None:
        self.number = number
        self.id = f"paper-{number}"
        self.new = new
        self.instrument = instrument
        self.size = new.size
        """Base units; None while an order by cost has not met the market."""
        self.price = new.price
        self.filled = ZERO
        self.cost = ZERO
        self.status: OrderStatus = "open"
        self.raw = "open"
        self.waits = new.kind in WAITS
        """True until its trigger is reached."""
        self.ahead: Decimal | None = None
        """None while it does not rest, or rests where the book is not known."""
        self.ts_created = ts
        self.ts_updated = ts

    @property
    def open(self) -> bool:
        """True while it may still be filled."""
        return self.status in ("open", "partially_filled")

    @property
    def rests(self) -> bool:
        """True while it stands in the book."""
        return self.open and not self.waits and self.price is not None

    @property
    def reduces(self) -> bool:
        """True when it may only make a position smaller: by its flag, or in hedge mode by its side."""
        side = self.new.position_side
        return self.new.reduce_only or (side is not None and side == against(self.new.side))

    @property
    def left(self) -> Decimal:
        """Size that is not filled."""
        return ZERO if self.size is None else EXACT.subtract(self.size, self.filled)

    def fill(self, price: Decimal, size: Decimal) -> None:
        """Take an execution."""
        self.filled = EXACT.add(self.filled, size)
        self.cost = EXACT.add(self.cost, EXACT.multiply(price, size))

    def end(self, status: OrderStatus, raw: str) -> None:
        """It can no longer be filled."""
        self.status, self.raw, self.ahead = status, raw, None

    def shown(self, venue: str, ts: int) -> Order:
        """Return it as an event."""
        new = self.new
        return Order(
            venue,
            new.symbol,
            self.ts_updated,
            self.ts_updated,
            ts,
            self.id,
            new.client_id,
            new.side,
            new.kind,
            new.tif or ("gtc" if new.kind in LIMITS else None),
            self.price,
            new.trigger,
            self.size,
            self.filled,
            quotient(self.cost, self.filled) if self.filled else None,
            self.status,
            new.reduce_only if self.instrument.kind != "spot" else None,
            new.position_side,
            self.ts_created,
            self.ts_updated,
            "stream",
            self.raw,
        )
