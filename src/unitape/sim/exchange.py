"""One simulated market: agents trade in matching engines, and everything told about it comes from there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Final

from unitape.sim.accounts import SimAccounts
from unitape.sim.candles import SECOND_NS, CandleStore, candle_start, next_candle
from unitape.sim.instruments import Coin, instrument
from unitape.sim.market import AGENT, Agents, FairPrices, Place, cumulative_weights
from unitape.sim.matching import Execution, MatchingEngine, Tif
from unitape.sim.users import DEFAULT_USERS
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import (
    Bar,
    BestPrices,
    BookChange,
    BookImage,
    DayStats,
    ForcedOrder,
    MarketEvent,
    PerpetualState,
    Settlement,
    Side,
    SimInstrument,
    SimTrade,
)
from unitape_schemas import Interval

__all__ = ["SimExchange"]

_JOURNAL_KEEPS: Final = 100_000
_TRADES_KEPT: Final = 5_000  # per symbol
_CHANGES_KEPT_NS: Final = 30 * SECOND_NS
_FIRST_TRADE_ID: Final = 50_000_000
_FIRST_SEQ: Final = 7_000_000
_FUNDING_HOURS: Final = 8
_FUNDING_NS: Final = _FUNDING_HOURS * 3_600 * SECOND_NS
_FUNDING_KEPT: Final = 1_000
_FUNDING_PAST: Final = 90
_E8: Final = 100_000_000
_NEVER: Final = 2**63


class _Listing:
    """One instrument and all that is known of it."""

    def __init__(self, spec: SimInstrument, agents: Agents, candles: CandleStore, random: Random) -> None:
        self.spec = spec
        self.agents = agents
        self.candles = candles
        self.engine = MatchingEngine()
        self.seq = _FIRST_SEQ
        self.seq_ts = 0
        self.changes: deque[BookChange] = deque()
        self.trades: deque[SimTrade] = deque(maxlen=_TRADES_KEPT)
        self.next_trade_id = _FIRST_TRADE_ID
        self.last_price = 0
        self.open_interest = random.randint(400_000, 900_000)
        self.settlements: deque[Settlement] = deque(maxlen=_FUNDING_KEPT)


class SimExchange:
    """One market of one venue, made of a seed and moved by ``advance``.

    ``rate`` is how often agents act on an instrument, per second and on average over the instruments; the first ones
    are busier. ``grid`` is the time step of fair prices in seconds. ``start`` is the wall clock when it opens. The
    same arguments and the same end of time give the same events, however ``advance`` is sliced.
    """

    def __init__(
        self,
        name: str,
        coins: Sequence[Coin],
        *,
        linear: bool,
        seed: int,
        start: int,
        rate: float = 10.0,
        grid: float | None = None,
        history_minutes: int = 3 * 1_440,
        users: Sequence[SimUser] = DEFAULT_USERS,
    ) -> None:
        self.name = name
        self._seed = seed
        self._start = start
        self._time = start
        self._skew = 0
        self._quiet = False
        self._linear = linear
        self._random = Random(f"{seed}/{name}")
        self._fair = FairPrices(coins, seed, grid if grid is not None else min(60.0, max(1.0, 1.0 / rate)))
        self._weights = cumulative_weights(len(coins))
        self._gap = SECOND_NS / (rate * len(coins))
        self._journal: list[MarketEvent] = []
        self._journal_base = 0
        self._listings = {
            spec.symbol: self._list(spec, coin, history_minutes)
            for spec, coin in ((instrument(coin, linear=linear), coin) for coin in coins)
        }
        self._order = list(self._listings.values())
        self._accounts = SimAccounts(self, users)
        self._next_funding: int = start - start % _FUNDING_NS + _FUNDING_NS
        for listing in self._order:
            self._open(listing)
        self._next_action: int = start + self._wait()

    @property
    def seed(self) -> int:
        """What makes this market the one it is."""
        return self._seed

    @property
    def now(self) -> int:
        """The venue's wall clock, nanoseconds."""
        return self._time + self._skew

    @property
    def skew(self) -> int:
        """How far the venue's clock stands off, nanoseconds; a clock jump changes it."""
        return self._skew

    def jump(self, nanoseconds: int) -> None:
        """Let the venue's wall clock jump; the market itself moves on as before."""
        self._skew += nanoseconds

    @property
    def accounts(self) -> SimAccounts:
        """Who trades here, and what they own."""
        return self._accounts

    @property
    def linear(self) -> bool:
        """True for perpetuals."""
        return self._linear

    @property
    def instruments(self) -> Sequence[SimInstrument]:
        """Every instrument, in listing order."""
        return [listing.spec for listing in self._order]

    def instrument(self, symbol: str) -> SimInstrument:
        """Return one instrument; KeyError when there is none."""
        return self._listings[symbol].spec

    def advance(self, now: int) -> None:
        """Let everything happen up to this wall clock (unskewed); earlier times change nothing."""
        while (due := self._due()) <= now:
            self._time = max(self._time, due)
            if due == self._next_end():
                self._accounts.expire()
            elif due == self._next_action and not self._quiet:
                self._act()
                self._next_action = due + self._wait()
            else:
                self._settle()
                self._next_funding = due + _FUNDING_NS
        self._time = max(self._time, now)
        self._trim()

    def pause_agents(self) -> None:
        """Let nothing but the clock, funding and ``submit`` move the market: books come to rest."""
        self._quiet = True

    def resume_agents(self) -> None:
        """Let the agents go on from now."""
        if self._quiet:
            self._quiet = False
            self._next_action = self._time + self._wait()

    def submit(
        self, symbol: str, owner: int, side: Side, price: int | None, size: int, tif: Tif = "gtc", forced: bool = False
    ) -> Execution:
        """Send an order now; its trades and book changes are in the journal. KeyError for an unknown symbol."""
        done, trades = self.execute(symbol, owner, side, price, size, tif)
        if forced and done.filled:
            notional = sum(match.price * match.size for match in done.matches)
            limit = price if price is not None else done.matches[-1].price
            self._journal.append(ForcedOrder(symbol, self.now, side, limit, size, done.filled, notional))
        self._accounts.traded(symbol, done, trades)
        self._accounts.moved()
        return done

    def execute(
        self, symbol: str, owner: int, side: Side, price: int | None, size: int, tif: Tif
    ) -> tuple[Execution, Sequence[SimTrade]]:
        """Send an order as ``submit`` does, without telling the accounts; return the trades of its matches, too."""
        listing = self._listings[symbol]
        done = listing.engine.submit(owner, side, price, size, tif)
        ts = self.now
        trades: list[SimTrade] = []
        for index, change in enumerate(done.changes):
            seq = listing.seq + 1
            while len(trades) < len(done.matches) and done.matches[len(trades)].change == index:
                match = done.matches[len(trades)]
                trade = self._trade(listing, ts, match.price, match.size, side, done.order, match.maker_order, seq)
                trades.append(trade)
            self._change(listing, ts, change.side, change.price, change.size, change.before)
        return done, trades

    def cancel(self, symbol: str, order_id: int) -> bool:
        """Take an order out of the book; False when it does not rest there."""
        listing = self._listings[symbol]
        change = listing.engine.cancel(order_id)
        if change is None:
            return False
        self._change(listing, self.now, change.side, change.price, change.size, change.before)
        return True

    def shrink(self, symbol: str, order_id: int, left: int) -> bool:
        """Make what is left of a resting order smaller, in its place; False when it does not rest there."""
        listing = self._listings[symbol]
        change = listing.engine.shrink(order_id, left)
        if change is None:
            return False
        self._change(listing, self.now, change.side, change.price, change.size, change.before)
        return True

    def cost(self, symbol: str, side: Side, size: int) -> tuple[int, int]:
        """Return (lots, amount in ticks × lots) that a market order of this size would fill now."""
        return self._listings[symbol].engine.cost(side, size)

    def affordable(self, symbol: str, side: Side, amount: int) -> int:
        """Return how many lots a market order may have to trade no more than ``amount`` ticks × lots."""
        return self._listings[symbol].engine.affordable(side, amount)

    def last_price(self, symbol: str) -> int:
        """Return the last traded price in ticks; at the start the close of the last candle."""
        return self._listings[symbol].last_price

    def book(self, symbol: str, depth: int | None = None, *, lag: float = 0.0) -> BookImage:
        """Return the book, ``depth`` levels per side (None: all), as it was ``lag`` seconds ago.

        Book changes are kept for half a minute; a longer lag gives the oldest book that can be told.
        """
        listing = self._listings[symbol]
        engine = listing.engine
        if lag <= 0.0:
            return BookImage(
                listing.seq, listing.seq_ts, tuple(engine.levels("buy", depth)), tuple(engine.levels("sell", depth))
            )
        sides = {"buy": dict(engine.levels("buy")), "sell": dict(engine.levels("sell"))}
        seq, seq_ts, moment = listing.seq, listing.seq_ts, self.now - round(lag * SECOND_NS)
        for change in reversed(listing.changes):
            if change.ts <= moment:
                seq_ts = change.ts
                break
            sides[change.side][change.price] = change.before
            seq = change.seq - 1
        bids = sorted(((p, s) for p, s in sides["buy"].items() if s), reverse=True)[:depth]
        asks = sorted((p, s) for p, s in sides["sell"].items() if s)[:depth]
        return BookImage(seq, min(seq_ts, moment), tuple(bids), tuple(asks))

    def best(self, symbol: str) -> BestPrices:
        """Return the touch."""
        listing = self._listings[symbol]
        return BestPrices(listing.seq, *listing.engine.best("buy"), *listing.engine.best("sell"))

    def trades(self, symbol: str, limit: int) -> Sequence[SimTrade]:
        """Return the newest trades, oldest first."""
        kept = self._listings[symbol].trades
        return list(islice(kept, max(0, len(kept) - limit), None))

    def trades_from(self, symbol: str, first_id: int, limit: int) -> Sequence[SimTrade]:
        """Return kept trades with ``id >= first_id``, oldest first."""
        kept = self._listings[symbol].trades
        if not kept:
            return []
        start = max(0, first_id - kept[0].id)
        return list(islice(kept, start, start + limit))

    def bars(
        self, symbol: str, interval: Interval, *, start: int | None = None, end: int | None = None, limit: int = 500
    ) -> Sequence[Bar]:
        """Return candles as the protocol says. ``1s`` reaches back as far as trades are kept."""
        listing = self._listings[symbol]
        if interval == "1s":
            return self._second_bars(listing, start, end, limit)
        return listing.candles.bars(interval, self.now, start, end, limit)

    def day(self, symbol: str) -> DayStats:
        """Return the rolling 24 h statistics."""
        return self._listings[symbol].candles.day(self.now)

    def perpetual(self, symbol: str) -> PerpetualState:
        """Return mark, index, funding and open interest; KeyError on spot."""
        listing = self._listings[symbol]
        if not self._linear:
            raise KeyError(symbol)
        mark, index, rate = self._marks(listing)
        return PerpetualState(
            mark_e8=mark,
            index_e8=index,
            rate_e8=rate,
            next_funding=self._next_funding + self._skew,
            funding_hours=_FUNDING_HOURS,
            open_interest=listing.open_interest,
        )

    def settlements(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int = 100
    ) -> Sequence[Settlement]:
        """Return settled funding in [start, end], oldest first; the newest ``limit`` without ``start``."""
        rows = list(self._listings[symbol].settlements)
        first = 0 if start is None else bisect_left(rows, start, key=lambda row: row.ts)
        last = len(rows) if end is None else bisect_right(rows, end, key=lambda row: row.ts)
        found = rows[first:last]
        return found[:limit] if start is not None else found[-limit:]

    @property
    def cursor(self) -> int:
        """The journal's end."""
        return self._journal_base + len(self._journal)

    def events(self, cursor: int) -> Sequence[MarketEvent]:
        """Return what happened from ``cursor`` on, in order; LookupError when that is no longer kept."""
        if cursor < self._journal_base:
            raise LookupError(f"the journal starts at {self._journal_base}, {cursor} is asked for")
        return self._journal[cursor - self._journal_base :]

    def _list(self, spec: SimInstrument, coin: Coin, history_minutes: int) -> _Listing:
        random = Random(f"{self._seed}/{self.name}/{spec.symbol}")
        agents = Agents(spec, self._fair.motions[coin.base], random)
        candles = CandleStore(
            start=self._start,
            price=round(coin.price / float(spec.tick)),
            lots=round(3_000.0 / (coin.price * float(spec.step))),
            first_trade_id=_FIRST_TRADE_ID,
            history_minutes=history_minutes,
            path=Random(f"{self._seed}/past/{coin.base}"),
            random=Random(f"{self._seed}/{self.name}/{spec.symbol}/past"),
        )
        listing = _Listing(spec, agents, candles, random)
        listing.last_price = candles.bars("1m", self._start, None, None, 1)[0].close
        return listing

    def _open(self, listing: _Listing) -> None:
        for order in listing.agents.opening():
            self._send(listing, order)
        if self._linear:
            random = Random(f"{self._seed}/{self.name}/{listing.spec.symbol}/funding")
            mark, _, _ = self._marks(listing)
            for age in range(_FUNDING_PAST, 0, -1):
                ts = self._next_funding - age * _FUNDING_NS
                past_mark = round(mark * (1 + random.gauss(0.0, 0.01)))
                listing.settlements.append(
                    Settlement(listing.spec.symbol, ts, 10_000 + random.randint(-9_000, 9_000), past_mark)
                )

    def _due(self) -> int:
        """Return when the next thing happens; far off when nothing will."""
        action = min(_NEVER if self._quiet else self._next_action, self._next_end())
        return min(action, self._next_funding) if self._linear else action

    def _next_end(self) -> int:
        """Return when the next order of a user expires."""
        expiry = self._accounts.next_expiry()
        return _NEVER if expiry is None else expiry - self._skew

    def _wait(self) -> int:
        return 1 + int(self._random.expovariate(1.0) * self._gap)

    def _act(self) -> None:
        self._fair.advance((self._time - self._start) / SECOND_NS)
        draw = self._random.random() * self._weights[-1]
        listing = self._order[min(bisect_right(self._weights, draw), len(self._order) - 1)]
        agents = listing.agents
        for _ in range(1 + int(self._random.expovariate(0.3)) if agents.bursting else 1):
            action = agents.act(listing.engine)
            if isinstance(action, Place):
                self._send(listing, action)
            else:
                self.cancel(listing.spec.symbol, action.order)
        self._accounts.moved()

    def _send(self, listing: _Listing, order: Place) -> None:
        done = self.submit(
            listing.spec.symbol, AGENT, order.side, order.price, order.size, order.tif, forced=order.forced
        )
        if done.resting:
            listing.agents.rested(done.order)

    def _trade(
        self, listing: _Listing, ts: int, price: int, size: int, taker: Side, taker_order: int, maker: int, seq: int
    ) -> SimTrade:
        trade = SimTrade(listing.spec.symbol, ts, listing.next_trade_id, price, size, taker, taker_order, maker, seq)
        listing.next_trade_id += 1
        listing.last_price = price
        listing.trades.append(trade)
        listing.candles.add(trade)
        if self._linear:
            opened = size if trade.id % 2 else -size
            listing.open_interest = max(1, listing.open_interest + opened)
        self._journal.append(trade)
        return trade

    def _change(self, listing: _Listing, ts: int, side: Side, price: int, size: int, before: int) -> None:
        listing.seq += 1
        listing.seq_ts = ts
        change = BookChange(listing.spec.symbol, ts, listing.seq, side, price, size, before)
        changes = listing.changes
        changes.append(change)
        while changes[0].ts < ts - _CHANGES_KEPT_NS:
            changes.popleft()
        self._journal.append(change)

    def _marks(self, listing: _Listing) -> tuple[int, int, int]:
        """Return mark and index price and the running funding rate, all in units of 1e-8."""
        index = round(self._fair.motions[listing.spec.base].price * _E8)
        bid, _ = listing.engine.best("buy")
        ask, _ = listing.engine.best("sell")
        middle = round((bid + ask) / 2 * float(listing.spec.tick) * _E8) if bid and ask else index
        premium = max(-0.0005, min(0.0005, (middle - index) / index))
        return round(index * (1 + premium)), index, round((0.0001 + premium) * _E8)

    def _settle(self) -> None:
        self._fair.advance((self._time - self._start) / SECOND_NS)
        for listing in self._order:
            mark, _, rate = self._marks(listing)
            settlement = Settlement(listing.spec.symbol, self.now, rate, mark)
            listing.settlements.append(settlement)
            self._journal.append(settlement)
            self._accounts.funded(settlement)

    def _trim(self) -> None:
        if len(self._journal) > 2 * _JOURNAL_KEEPS:
            gone = len(self._journal) - _JOURNAL_KEEPS
            del self._journal[:gone]
            self._journal_base += gone

    def _second_bars(self, listing: _Listing, start: int | None, end: int | None, limit: int) -> list[Bar]:
        trades = listing.trades
        until = min(end if end is not None else self.now + 1, self.now + 1)
        oldest = trades[0].ts if trades else self.now
        first = candle_start(max(oldest, start if start is not None else until - limit * SECOND_NS), "1s")
        if start is not None and first < start:
            first = next_candle(first, "1s")
        last = trades[0].price if trades else listing.candles.bars("1m", self.now, None, None, 1)[0].close
        store: list[Bar] = []
        by_second: dict[int, list[SimTrade]] = {}
        for trade in trades:
            if trade.ts < first:
                last = trade.price
            elif trade.ts < until:
                by_second.setdefault(candle_start(trade.ts, "1s"), []).append(trade)
        at = first
        while at < until and len(store) < limit:
            bar = _bar_of(at, by_second.get(at, []), last)
            last = bar.close
            store.append(bar)
            at += SECOND_NS
        return store


def _bar_of(open_ts: int, trades: Sequence[SimTrade], last: int) -> Bar:
    prices = [trade.price for trade in trades] or [last]
    bought = [trade for trade in trades if trade.taker == "buy"]
    return Bar(
        open_ts=open_ts,
        close_ts=open_ts + SECOND_NS,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum(trade.size for trade in trades),
        amount=sum(trade.price * trade.size for trade in trades),
        trades=len(trades),
        taker_volume=sum(trade.size for trade in bought),
        taker_amount=sum(trade.price * trade.size for trade in bought),
        first_id=trades[0].id if trades else -1,
        last_id=trades[-1].id if trades else -1,
    )
