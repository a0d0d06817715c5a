"""A small market for paper orders, and a ledger of its own: fractions, from the fills alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from unitape.paper import PaperExchange, PaperSettings
from unitape.spi import NewOrder
from unitape_schemas import (
    AccountEvent,
    Balance,
    BookDelta,
    BookSnapshot,
    Fill,
    Funding,
    Instrument,
    MarkPrice,
    Order,
    Position,
    Trade,
)

D = Decimal
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
MAKER, TAKER = D("0.0002"), D("0.0005")


def instrument(symbol: str) -> Instrument:
    perp = ":" in symbol
    return Instrument(
        "toy", symbol, symbol, "futures" if perp else "spot", "BTC", "USDT", "USDT" if perp else None,
        "linear" if perp else "spot", D("0.1"), D("0.001"), D("0.001"), None, None, None, 1, "trading", True,
        MAKER, TAKER, 0,
    )  # fmt: skip


class World:
    """A paper exchange and the market that it sees; every account event is kept."""

    def __init__(self, settings: PaperSettings | None = None, **more: Any) -> None:
        self.settings = settings or PaperSettings(
            balances={"spot": {"USDT": D(100_000), "BTC": D(10)}, "futures": {"USDT": D(100_000)}}, **more
        )
        self.events: list[AccountEvent] = []
        self.exchange = PaperExchange("toy", self.settings, self.events.extend)
        self.ts = START
        self.seq: dict[str, int] = defaultdict(int)
        self.orders = 0

    def later(self, seconds: float) -> None:
        self.ts += round(seconds * SECOND)

    def book(
        self, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]], symbol: str = SPOT
    ) -> None:
        self.seq[symbol] += 1
        epoch = self.seq[symbol]
        self.exchange.take(
            BookSnapshot("toy", symbol, self.ts, 0, self.ts, tuple(bids), tuple(asks), None, epoch, None, epoch)
        )
        self.exchange._depths[symbol].book.epoch = epoch

    def delta(
        self, bids: Sequence[tuple[float, float]] = (), asks: Sequence[tuple[float, float]] = (), symbol: str = SPOT
    ) -> None:
        known = self.exchange._depths[symbol].book
        self.exchange.take(
            BookDelta(
                "toy",
                symbol,
                self.ts,
                0,
                self.ts,
                tuple(bids),
                tuple(asks),
                None,
                known.seq + 1,
                known.seq,
                known.epoch,
            )
        )

    def trade(self, side: Any, price: float, size: float, symbol: str = SPOT) -> None:
        self.exchange.take(Trade("toy", symbol, self.ts, 0, self.ts, None, price, size, side))

    def mark(self, price: float, symbol: str = PERP) -> None:
        self.exchange.take(MarkPrice("toy", symbol, self.ts, 0, self.ts, price, None))

    def funding(self, rate: float, due: int, symbol: str = PERP) -> None:
        self.exchange.take(Funding("toy", symbol, self.ts, 0, self.ts, rate, due))

    def new(self, side: Any, kind: Any = "limit", symbol: str = SPOT, **more: Any) -> NewOrder:
        self.orders += 1
        exact = {k: D(v) if k in ("size", "price", "cost", "trigger") and v is not None else v for k, v in more.items()}
        return NewOrder(symbol, side, kind, exact.pop("client_id", f"c{self.orders}"), **exact)

    def place(self, side: Any, kind: Any = "limit", symbol: str = SPOT, **more: Any) -> Order:
        self.exchange.advance(self.ts)
        return self.exchange.place(self.new(side, kind, symbol, **more), instrument(symbol))

    def order(self, order: Order) -> Order:
        return self.exchange.orders[str(order.id)].shown("toy", self.ts)

    def fills(self) -> list[Fill]:
        return [one for one in self.events if isinstance(one, Fill)]

    def balance(self, currency: str, market: str = "spot") -> Balance:
        return self.exchange.accounts[market].balance(currency, self.ts)

    def position(self, symbol: str = PERP) -> Position | None:
        found = self.exchange.accounts["futures"].positions(self.ts, symbol)
        return found[0] if found else None


class Books(Protocol):
    """What the ledger looks at."""

    settings: PaperSettings
    exchange: PaperExchange
    events: list[Any]
    ts: int

    def fills(self) -> list[Fill]: ...
    def balance(self, currency: str, market: str = "spot") -> Balance: ...
    def position(self, symbol: str = PERP) -> Position | None: ...


class Ledger:
    """What the account must hold, from nothing but the start, the fills and the funding payments."""

    def __init__(self, world: Books) -> None:
        self.totals: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for market, held in world.settings.balances.items():
            for currency, amount in held.items():
                self.totals[market, currency] = Fraction(amount)
        self.size: dict[str, Fraction] = defaultdict(Fraction)
        self.cash: dict[str, Fraction] = defaultdict(Fraction)
        self.fees = Fraction()
        for fill in world.fills():
            price, size = Fraction(fill.price), Fraction(fill.size)
            rate = Fraction(MAKER if fill.liquidity == "maker" else TAKER)
            sign = 1 if fill.side == "buy" else -1
            if fill.symbol == SPOT:
                self.totals["spot", "BTC"] += sign * size
                self.totals["spot", "USDT"] -= sign * size * price
                fee = size * rate if fill.side == "buy" else size * price * rate
                self.totals["spot", "BTC" if fill.side == "buy" else "USDT"] -= fee
            else:
                self.size[fill.symbol] += sign * size
                self.cash[fill.symbol] -= sign * size * price
                fee = size * price * rate
                self.totals["futures", "USDT"] -= fee
                self.fees += fee
            assert fill.fee is not None
            assert Fraction(fill.fee) == fee, fill
        for payment in world.exchange.payments:
            self.totals["futures", "USDT"] += Fraction(payment.amount)

    def equity(self, mark: Decimal) -> Fraction:
        """Return what the margin account is worth when every position is valued at a price."""
        return self.totals["futures", "USDT"] + self.cash[PERP] + self.size[PERP] * Fraction(mark)


def check_books(world: Books, mark: Decimal | None = None) -> None:
    """The account holds exactly what its fills say, and the last events told say the same."""
    ledger = Ledger(world)
    for market, account in world.exchange.accounts.items():
        for currency, total in account.wallet.totals.items():
            shown = account.balance(currency, world.ts)
            assert shown.total == total
            if market == "spot":
                assert Fraction(total) == ledger.totals[market, currency], (market, currency)
                assert shown.free is not None
                assert shown.locked is not None
                assert shown.free + shown.locked == total
                assert shown.free >= 0, f"{currency}: more is tied up than there is"
            told = [
                one
                for one in world.events
                if isinstance(one, Balance) and (one.market, one.currency) == (market, currency)
            ]
            if told:
                assert told[-1].total == total, "the last balance that was told is the balance"
    if "futures" not in world.exchange.accounts:
        return
    held = world.position()
    signed = Fraction(0) if held is None else Fraction(held.size) * (1 if held.side == "long" else -1)
    assert signed == ledger.size[PERP]
    if mark is not None:
        shown = world.balance("USDT", "futures")
        assert shown.equity is not None
        assert Fraction(shown.equity) == ledger.equity(mark)
    realized = sum((Fraction(one.realized_pnl) for one in world.fills() if one.realized_pnl is not None), Fraction())
    if not signed:
        assert realized == ledger.cash[PERP], "flat again, what was realized is what came in less what went out"
