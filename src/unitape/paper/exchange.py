"""The market as paper orders meet it: real books and trades on one side, their fills on the other. Pure.

Time is the market's: it moves with the events, and by ``advance``. Nothing here waits, draws or reads a clock, so the
same events and orders give the same fills.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Final

from msgspec import structs

from unitape.errors import (
    DuplicateOrder,
    InsufficientFunds,
    MarketClosed,
    OrderNotFound,
    PostOnlyWouldCross,
    ReduceOnlyRejected,
)
from unitape.paper.account import PaperAccount
from unitape.paper.depth import Depth, better_or_equal
from unitape.paper.ledger import EXACT, against, along
from unitape.paper.orders import PaperOrder
from unitape.paper.settings import PaperSettings, Payment
from unitape.spi import NewOrder, OrderRef
from unitape.spi.numbers import exact
from unitape.trade.numbers import plain, round_down
from unitape_schemas import (
    AccountEvent,
    BookDelta,
    BookSnapshot,
    Event,
    Fill,
    Funding,
    Instrument,
    Liquidity,
    MarkPrice,
    Order,
    OrderStatus,
    Side,
    Status,
    Trade,
)

__all__ = ["PaperExchange"]

ZERO: Final = Decimal(0)
OPPOSITE: Final[dict[Side, Side]] = {"buy": "sell", "sell": "buy"}
LOST: Final = frozenset({"gap", "disconnected"})
ENDED_KEPT: Final = 10_000
FILLS_KEPT: Final = 100_000
Plan = list[tuple[Decimal, Decimal]]


class PaperExchange:
    """One venue on paper. ``emit`` takes account events as they happen."""

    def __init__(self, venue: str, settings: PaperSettings, emit: Callable[[Sequence[AccountEvent]], None]) -> None:
        self.venue = venue
        self.settings = settings
        self.now = 0
        """Market time, nanoseconds."""
        self.accounts: dict[str, PaperAccount] = {}
        self.orders: dict[str, PaperOrder] = {}
        """Orders by id, oldest first: all that are open, and the newest that have ended."""
        self.fills: deque[Fill] = deque(maxlen=FILLS_KEPT)
        self.payments: deque[Payment] = deque(maxlen=FILLS_KEPT)
        self._ended: deque[str] = deque()
        self._numbers = 0
        self._executions = 0
        self._emit = emit
        self._depths: dict[str, Depth] = {}
        self._instruments: dict[str, Instrument] = {}
        self._last: dict[str, Decimal] = {}
        self._marks: dict[str, tuple[Decimal | None, Decimal | None]] = {}
        self._rates: dict[str, tuple[Decimal, int | None]] = {}
        self._settled: dict[str, int] = {}

    # Looking

    def account(self, instrument: Instrument) -> PaperAccount:
        """Return the account of an instrument's market, ready for the instrument."""
        self._instruments[instrument.symbol] = instrument
        account = self.open_account(instrument.market)
        account.prepare(instrument, self.settings.leverage)
        return account

    def open_account(self, market: str) -> PaperAccount:
        """Return the account of a market, with what it begins with."""
        account = self.accounts.get(market)
        if account is None:
            held = self.settings.balances.get(market, self.settings.balances.get("*", {}))
            account = self.accounts[market] = PaperAccount(self.venue, market, held.items(), self.mark)
        return account

    def instruments(self) -> list[Instrument]:
        """Return the instruments that orders or settings named."""
        return list(self._instruments.values())

    @property
    def numbers(self) -> tuple[int, int]:
        """How many orders and executions there were."""
        return self._numbers, self._executions

    @numbers.setter
    def numbers(self, numbers: tuple[int, int]) -> None:
        self._numbers, self._executions = numbers

    def restore(self, order: PaperOrder, status: OrderStatus, raw: str) -> None:
        """Take in an order that ended before."""
        self.orders[order.id] = order
        order.end(status, raw)
        self._ended.append(order.id)

    def mark(self, symbol: str) -> Decimal | None:
        """Return the mark price; where the venue tells none, the last trade's, then the middle of the book."""
        told = self._marks.get(symbol, (None, None))[0] or self._last.get(symbol)
        depth = self._depths.get(symbol)
        if told is None and depth is not None and depth.known:
            bid, ask = depth.best("sell"), depth.best("buy")
            return None if bid is None or ask is None else (bid + ask) / 2
        return told

    def knows(self, symbol: str) -> bool:
        """Tell whether the book of a symbol is there."""
        depth = self._depths.get(symbol)
        return depth is not None and depth.known

    def find(self, ref: OrderRef) -> PaperOrder:
        """Return an order, the newest of a client id.

        Raises:
            OrderNotFound: there is none.
        """
        known = self.orders.values() if ref.id is None else filter(None, [self.orders.get(ref.id)])
        found = [one for one in known if one.new.symbol == ref.symbol and ref.client_id in (None, one.new.client_id)]
        if found:
            return found[-1]
        raise OrderNotFound(f"no paper order {ref.id or ref.client_id} in {ref.symbol}", venue=self.venue)

    def open_orders(self, symbol: str | None = None) -> list[PaperOrder]:
        """Return open orders, oldest first."""
        found = [order for account in self.accounts.values() for order in account.orders.values()]
        return sorted((o for o in found if symbol in (None, o.new.symbol)), key=lambda order: order.number)

    # The market moves

    def advance(self, ts: int) -> None:
        """Let the market's time come to this."""
        self.now = max(self.now, ts)
        with localcontext(EXACT):
            self._settle_due()

    def _settle_due(self) -> None:
        for symbol, (rate, due) in list(self._rates.items()):
            if due is not None and self.now >= due:
                self._rates[symbol] = (rate, None)
                self._settled[symbol] = due
                self._settle(symbol, rate, due)

    def take(self, event: Event) -> None:
        """Follow one event of the market."""
        self.advance(event.ts_recv)
        with localcontext(EXACT):
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, (BookSnapshot, BookDelta)):
            depth = self._depths.get(event.symbol)
            if depth is None:
                depth = self._depths[event.symbol] = Depth(self.venue, event.symbol)
            depth.take(event)
            self._after_book(event.symbol, depth)
        elif isinstance(event, Trade):
            price = exact(event.price)
            self._last[event.symbol] = price
            self._after_trade(event, price)
            self._trigger(event.symbol, "last", price)
        elif isinstance(event, MarkPrice):
            mark = None if event.mark is None else exact(event.mark)
            index = None if event.index is None else exact(event.index)
            known = self._marks.get(event.symbol, (None, None))
            self._marks[event.symbol] = (mark or known[0], index or known[1])
            if mark is not None:
                self._trigger(event.symbol, "mark", mark)
            if index is not None:
                self._trigger(event.symbol, "index", index)
        elif isinstance(event, Funding):
            due = event.ts_next
            if due is not None and due <= max(self.now, self._settled.get(event.symbol, 0)):
                due = None  # told again, or told too late: what is past is not settled twice
            self._rates[event.symbol] = (exact(event.rate), due)
        elif isinstance(event, Status) and event.code in LOST and (event.subscription or "book").startswith("book"):
            for symbol, depth in self._depths.items():
                if event.symbol in ("", symbol):
                    depth.lose()

    # Orders

    def place(self, new: NewOrder, instrument: Instrument) -> Order:
        """Take an order that has reached the market; return it after whatever it met at once.

        Raises:
            MarketClosed: the book is not known.
            DuplicateOrder, InsufficientFunds, PostOnlyWouldCross, ReduceOnlyRejected: as a venue would.
        """
        account = self.account(instrument)
        if any(order.new.client_id == new.client_id for order in account.orders.values()):
            raise DuplicateOrder(f"client id {new.client_id} is in use by an open order", venue=self.venue)
        order = PaperOrder(self._numbers + 1, new, instrument, self.now)
        with localcontext(EXACT):
            if not order.waits:
                self._check(order, account)
            self._numbers += 1
            self.orders[order.id] = account.orders[order.number] = order
            if order.waits:
                self._tell(account, [], [order])
            else:
                self._meet(order, account)
        return order.shown(self.venue, self.now)

    def reject(self, new: NewOrder, instrument: Instrument, why: str) -> Order:
        """Tell that an order was refused when it arrived."""
        order = PaperOrder(self._numbers + 1, new, instrument, self.now)
        self._numbers += 1
        self.orders[order.id] = order
        self.account(instrument)
        self._end(order, "rejected", why)
        shown = order.shown(self.venue, self.now)
        self._emit([shown])
        return shown

    def cancel(self, order: PaperOrder) -> Order:
        """Cancel an open order.

        Raises:
            OrderNotFound: it has ended.
        """
        if not order.open:
            raise OrderNotFound(f"paper order {order.id} is {order.status}", venue=self.venue)
        self._end(order, "canceled", "canceled")
        self._tell(self.accounts[order.instrument.market], [], [order])
        return order.shown(self.venue, self.now)

    def amend(self, order: PaperOrder, size: Decimal | None, price: Decimal | None) -> Order:
        """Change an open limit order. It keeps its place in the queue only if nothing but its size shrinks.

        Raises:
            OrderNotFound: it has ended.
            InsufficientFunds, PostOnlyWouldCross: the order stands as it was.
        """
        if not order.open:
            raise OrderNotFound(f"paper order {order.id} is {order.status}", venue=self.venue)
        with localcontext(EXACT):
            self._amend(order, size, price)
        return order.shown(self.venue, self.now)

    def _amend(self, order: PaperOrder, size: Decimal | None, price: Decimal | None) -> None:
        account = self.accounts[order.instrument.market]
        before = order.size, order.price, order.ahead, order.new
        moved = price not in (None, order.price) or (size is not None and order.size is not None and size > order.size)
        if size is not None:
            order.size = size
        if price is not None:
            order.price = price
            order.new = structs.replace(order.new, price=price)
        order.ts_updated = self.now
        if order.left <= 0:
            self._end(order, "canceled", "the new size is filled already")
        elif not order.waits and moved:
            try:
                self._check(order, account)
            except Exception:
                order.size, order.price, order.ahead, order.new = before
                raise
            self._meet(order, account)
            return
        self._tell(account, [], [order])

    # Meeting the market

    def _plan(self, order: PaperOrder) -> Plan:
        """Return what an order would take at once: visible depth within its limit, best first."""
        depth = self._depths.get(order.new.symbol)
        if depth is None or not depth.known:
            raise MarketClosed(f"the book of {order.new.symbol} is not known now", venue=self.venue)
        plan: Plan = []
        left, money = order.left, order.new.cost
        step = _step(order.instrument)
        for price, size in depth.offers(order.new.side, order.price):
            if money is None:
                take = min(left, size)
                left -= take
            else:
                take = min(size, Decimal(plain(round_down(EXACT.divide(money, price), step))))
                money = EXACT.subtract(money, EXACT.multiply(take, price))
            if take <= 0:
                break
            plan.append((price, take))
        return plan

    def _check(self, order: PaperOrder, account: PaperAccount) -> None:
        """Refuse what a venue would refuse when the order arrives."""
        new, depth = order.new, self._depths.get(order.new.symbol)
        plan = self._plan(order)
        if new.tif == "post_only" and depth is not None:
            best = depth.best(new.side)
            if best is not None and better_or_equal(new.side, best, order.price):
                raise PostOnlyWouldCross(f"a post-only order at {order.price} would take {best}", venue=self.venue)
        if order.reduces and not account.closable(order):
            raise ReduceOnlyRejected("there is no position to reduce", venue=self.venue)
        self._check_funds(order, account, plan)

    def _check_funds(self, order: PaperOrder, account: PaperAccount, plan: Plan) -> None:
        taken = sum((size for _, size in plan), ZERO)
        worth = sum((EXACT.multiply(price, size) for price, size in plan), ZERO)
        rest = max(ZERO, order.left - taken) if order.price is not None else ZERO
        if order.instrument.kind == "spot" and order.new.side == "sell":
            currency, needed = order.instrument.base, max(taken, order.left)
        elif order.instrument.kind == "spot":
            currency, needed = order.instrument.quote, EXACT.add(worth, EXACT.multiply(rest, order.price or ZERO))
        else:
            # A sell may bring more than its limit: what it takes counts at the price it takes.
            average = EXACT.divide(worth, taken) if taken else order.price
            size = min(max(taken, order.left), self._reducible(order, account))
            currency, needed = account.need(order, size, max(average or ZERO, order.price or ZERO))
            fees = EXACT.multiply(worth, self._rate(order, "taker"))
            needed = needed + fees if needed else ZERO  # closing is never refused for want of margin
        free = account.free(currency, order)
        if needed > max(ZERO, free):
            raise InsufficientFunds(f"the order needs {needed} {currency}, {free} are free", venue=self.venue)

    def _reducible(self, order: PaperOrder, account: PaperAccount) -> Decimal:
        size = order.left if order.size is not None else Decimal("Infinity")
        return min(size, account.closable(order)) if order.reduces else size

    def _meet(self, order: PaperOrder, account: PaperAccount) -> None:
        """Let an order that was checked take what it can, then rest or end."""
        new, depth = order.new, self._depths[order.new.symbol]
        plan = self._plan(order)
        if order.reduces:
            plan = _capped(plan, account.closable(order))
        if new.tif == "fok" and sum((size for _, size in plan), ZERO) < order.left:
            self._end(order, "expired", "not all of it could be filled at once")
            self._tell(account, [], [order])
            return
        fills: list[Fill] = []
        for price, size in plan:
            depth.consume(new.side, price, size)
            fills.append(self._fill(order, account, price, size, "taker"))
        if new.cost is not None and not self._is_thin(order, depth, new.cost):
            order.size = order.filled
        self._after_fill(order, account)
        if order.open and (order.price is None or new.tif in ("ioc", "fok")):
            self._end(order, "expired", "no more could be filled at once")
        elif order.open:
            order.ahead = depth.shown(new.side, order.price) if order.price is not None else None
        self._tell(account, fills, [order])

    @staticmethod
    def _is_thin(order: PaperOrder, depth: Depth, cost: Decimal) -> bool:
        """Tell whether an order by cost took all there was to see and could have bought more."""
        if next(depth.offers(order.new.side), None) is not None or not order.filled:
            return False
        left = EXACT.subtract(cost, order.cost)
        return left >= EXACT.multiply(EXACT.divide(order.cost, order.filled), _step(order.instrument))

    def _fill(
        self, order: PaperOrder, account: PaperAccount, price: Decimal, size: Decimal, liquidity: Liquidity
    ) -> Fill:
        fee, currency, realized = account.execute(order, price, size, self._rate(order, liquidity))
        order.ts_updated = self.now
        self._executions += 1
        new = order.new
        fill = Fill(
            self.venue,
            new.symbol,
            self.now,
            self.now,
            self.now,
            f"paper-{self._executions}",
            order.id,
            new.client_id,
            new.side,
            price,
            size,
            fee,
            currency,
            liquidity,
            realized,
            "stream",
        )
        self.fills.append(fill)
        return fill

    def _rate(self, order: PaperOrder, liquidity: Liquidity) -> Decimal:
        chosen = self.settings.maker if liquidity == "maker" else self.settings.taker
        listed = order.instrument.maker if liquidity == "maker" else order.instrument.taker
        if chosen is not None:
            return chosen
        return listed if listed is not None else self.settings.unlisted_fee

    def _after_fill(self, order: PaperOrder, account: PaperAccount) -> None:
        """Set the status that the fills make; end what has nothing left to reduce."""
        if order.size is not None and order.left <= 0 and order.filled:
            self._end(order, "filled", "filled")
        elif order.filled:
            order.status, order.raw = "partially_filled", "partially filled"
        if order.reduces and order.open and not account.closable(order):
            self._end(order, "expired", "there is no position left to reduce")

    def _end(self, order: PaperOrder, status: OrderStatus, raw: str) -> None:
        order.end(status, raw)
        order.ts_updated = self.now
        self._ended.append(order.id)
        while len(self._ended) > ENDED_KEPT:
            self.orders.pop(self._ended.popleft(), None)
        self.accounts[order.instrument.market].orders.pop(order.number, None)

    # Resting orders

    def _resting(self, symbol: str, side: Side) -> list[PaperOrder]:
        """Return resting orders of a side, best price first, then oldest."""
        found = [order for order in self.open_orders(symbol) if order.rests and order.new.side == side]
        sign = -1 if side == "buy" else 1
        return sorted(found, key=lambda order: (sign * (order.price or ZERO), order.number))

    def _after_book(self, symbol: str, depth: Depth) -> None:
        """Fill what the other side has come to, and look how much is ahead of the rest."""
        for side in ("buy", "sell"):
            for order in self._resting(symbol, side):
                price = order.price
                if price is None or not depth.known:
                    continue
                if next(depth.offers(side, price), None) is not None:
                    # Whoever offers here now would have met this order first, at this order's price.
                    self._take_offers(order, depth, side, price)
                    continue
                shown = depth.shown(side, price)
                if shown is not None and (order.ahead is None or self.settings.queue == "depth"):
                    order.ahead = shown if order.ahead is None else min(order.ahead, shown)

    def _take_offers(self, order: PaperOrder, depth: Depth, side: Side, price: Decimal) -> None:
        account = self.accounts[order.instrument.market]
        fills: list[Fill] = []
        for at, size in list(depth.offers(side, price)):
            take = min(size, self._room(order, account))
            if take <= 0:
                break
            depth.consume(side, at, take)
            fills.append(self._fill(order, account, price, take, "maker"))
        self._after_fill(order, account)
        self._tell(account, fills, [order])

    def _room(self, order: PaperOrder, account: PaperAccount) -> Decimal:
        """Return how much of an order may be filled now."""
        return min(order.left, account.closable(order)) if order.reduces else order.left

    def _after_trade(self, trade: Trade, price: Decimal) -> None:
        """A taker came: it met those ahead first, then us. One trade's size fills no more than itself."""
        side, left = OPPOSITE[trade.side], exact(trade.size)
        for order in self._resting(trade.symbol, side):
            if order.price is None or left <= 0:
                continue
            through = order.price > price if side == "buy" else order.price < price
            if not through and order.price != price:
                break
            if through:
                usable = left
                order.ahead = ZERO
            elif order.ahead is None:
                continue
            else:
                usable = left - order.ahead
                order.ahead = max(ZERO, order.ahead - left)
            account = self.accounts[order.instrument.market]
            size = min(usable, self._room(order, account))
            if size <= 0:
                continue
            left -= size
            fill = self._fill(order, account, order.price, size, "maker")
            self._after_fill(order, account)
            self._tell(account, [fill], [order])

    # Triggers and funding

    def _trigger(self, symbol: str, by: str, price: Decimal) -> None:
        for order in self.open_orders(symbol):
            trigger = order.new.trigger
            if not order.waits or trigger is None or (order.new.trigger_by or "last") != by:
                continue
            rising = (order.new.side == "buy") is order.new.kind.startswith("stop")
            if price >= trigger if rising else price <= trigger:
                self._wake(order)

    def _wake(self, order: PaperOrder) -> None:
        order.waits = False
        account = self.accounts[order.instrument.market]
        try:
            self._check(order, account)
        except (MarketClosed, InsufficientFunds, PostOnlyWouldCross, ReduceOnlyRejected) as error:
            self._end(order, "rejected", error.text)
            self._tell(account, [], [order])
            return
        self._meet(order, account)

    def _settle(self, symbol: str, rate: Decimal, due: int) -> None:
        instrument, mark = self._instruments.get(symbol), self.mark(symbol)
        if instrument is None or mark is None:
            return
        account = self.account(instrument)
        currency = instrument.settle or instrument.quote
        amount = account.fund(symbol, currency, mark, rate)
        if amount:
            self.payments.append(Payment(due, symbol, amount))
            self._emit([account.balance(currency, self.now)])

    # Telling

    def _tell(self, account: PaperAccount, fills: list[Fill], orders: list[PaperOrder]) -> None:
        """Emit what changed: fills, positions, balances, then the orders."""
        events: list[AccountEvent] = [*fills]
        currencies: dict[str, None] = {}
        for order in orders:
            instrument = order.instrument
            if instrument.kind == "spot":
                currencies |= dict.fromkeys((instrument.base, instrument.quote))
                continue
            currencies[instrument.settle or instrument.quote] = None
            if fills:
                touched = dict.fromkeys((against(order.new.side), along(order.new.side)))
                events += [account.position(order.new.symbol, side, self.now) for side in touched]
        events += [account.balance(currency, self.now) for currency in currencies]
        self._emit([*events, *(order.shown(self.venue, self.now) for order in orders)])


def _step(instrument: Instrument) -> Decimal:
    return instrument.step or Decimal(1).scaleb(-8)


def _capped(plan: Plan, most: Decimal) -> Plan:
    """Return a plan that takes no more than this."""
    kept: Plan = []
    for price, size in plan:
        take = min(size, most)
        if take <= 0:
            break
        kept.append((price, take))
        most -= take
    return kept
