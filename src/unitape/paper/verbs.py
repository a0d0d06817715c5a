"""The verbs of trading on paper: the words and checks of a live adapter, the answers of the paper exchange."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

from msgspec import structs

from unitape.errors import ConfigError, NoChange, UnitapeError, Unsupported
from unitape.guards.guards import MarketGuard
from unitape.paper.exchange import PaperExchange
from unitape.paper.orders import PaperOrder
from unitape.paper.settings import PaperSettings
from unitape.spi import (
    Amendment,
    ClientIdRule,
    Instruments,
    Market,
    NewOrder,
    OrderRef,
    PositionMode,
    Replaced,
    Tradable,
    TradingSettings,
    TradingSpec,
    TriggerBy,
)
from unitape.trade.checks import build_order, check_amendment, check_order, check_position_side
from unitape.trade.ids import ClientIds
from unitape.trade.numbers import Number, exact_number
from unitape.trade.requests import CancelAllResult, OrderRequest, as_ref
from unitape_schemas import (
    AccountEvent,
    Balance,
    Fill,
    Instrument,
    MarginMode,
    Order,
    OrderKind,
    Position,
    PositionSide,
    Side,
    TimeInForce,
)

__all__ = ["PAPER_SPEC", "MarketTime", "PaperVerbs", "PaperView"]

T = TypeVar("T")

PAPER_SPEC: Final = TradingSpec(
    kinds=("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    client_ids=ClientIdRule(max_length=36, repeated="rejected"),
    sides_by_cost=("buy", "sell"),
    trigger_by=("last", "mark", "index"),
    amend=True,
    replace=True,
    cancel_all="account",
    history_needs_symbol=False,
    source="the paper exchange; perpetuals have reduce-only orders and positions besides",
)


class MarketTime:
    """A clock that tells the market's time."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return self._now()

    def mono(self) -> int:
        """The same: it never goes back."""
        return self._now()


class PaperView:
    """The paper account as the limits look at it."""

    live = True

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return open orders."""
        exchange = self._exchange
        return [order.shown(exchange.venue, exchange.now) for order in exchange.open_orders(symbol)]

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return open positions."""
        accounts = self._exchange.accounts.values()
        return [position for account in accounts for position in account.positions(self._exchange.now, symbol)]

    def balances(self) -> list[Balance]:
        """Return what is held."""
        accounts = self._exchange.accounts.values()
        return [account.balance(name, self._exchange.now) for account in accounts for name in account.wallet.totals]


class PaperVerbs(ABC):
    """Trading on paper."""

    settings: PaperSettings
    _guard: MarketGuard

    def __init__(self, exchange: PaperExchange, clock: MarketTime) -> None:
        self.exchange = exchange
        self.clock = clock
        self._view = PaperView(exchange)
        self._ids = ClientIds(PAPER_SPEC.client_ids, random.Random(0), clock, "paper")

    @abstractmethod
    async def _ensure(self, symbol: str) -> Instrument:
        """Return an instrument, its book being there."""

    @abstractmethod
    async def _travel(self, act: Callable[[], T]) -> T:
        """Do something when it has reached the market."""

    @abstractmethod
    def _send_order(self, order: NewOrder, instrument: Instrument) -> Order:
        """Send an order without waiting for it."""

    @abstractmethod
    def _market(self, symbol: str) -> Market | None:
        """Return the live market of a symbol, where there is one."""

    @abstractmethod
    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument."""

    # Abilities

    def spec(self, symbol: str) -> TradingSpec:
        """Return what is taken on paper for a symbol: what the live market takes, where it is known."""
        market = self._market(symbol)
        perpetual = ":" in symbol
        paper = structs.replace(
            PAPER_SPEC,
            reduce_only=perpetual,
            position_modes=("one_way", "hedge") if perpetual else (),
            leverage=perpetual,
            margin_modes=("cross",) if perpetual else (),
        )
        if not isinstance(market, Tradable):
            return paper
        live = market.trading(Instruments(market.catalogue), TradingSettings()).spec
        return structs.replace(
            paper,
            kinds=live.kinds,
            tifs=tuple(tif for tif in live.tifs if tif in paper.tifs),
            client_ids=live.client_ids,
            sides_by_cost=live.sides_by_cost,
            trigger_by=live.trigger_by,
            amend=live.amend,
            replace=live.replace,
            reduce_only=live.reduce_only,
            position_modes=live.position_modes,
        )

    def _account_settings(self, symbol: str) -> TradingSettings:
        modes = self.spec(symbol).position_modes
        usual: PositionMode = modes[0] if modes and "one_way" not in modes else "one_way"
        return TradingSettings(position_mode=self.settings.position_mode or usual) if modes else TradingSettings()

    # Orders

    async def place(
        self,
        symbol: str,
        side: Side,
        kind: OrderKind = "limit",
        *,
        size: Number | None = None,
        cost: Number | None = None,
        price: Number | None = None,
        tif: TimeInForce | None = None,
        trigger: Number | None = None,
        trigger_by: TriggerBy | None = None,
        reduce_only: bool = False,
        position_side: PositionSide | None = None,
        expires: int | None = None,
        client_id: str | None = None,
        round_size: bool = False,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        validate: bool = False,
    ) -> Order:
        """Place one paper order; return it as it stands once it has reached the market.

        The first order in a symbol subscribes to its book and trades, and waits for the book. There are no attached
        orders and none that expire by time. ``validate`` checks it and places nothing.

        Raises:
            ConfigError, Unsupported, MarketClosed, InvalidSymbol, InvalidOrder: as of a live adapter.
            InsufficientFunds, PostOnlyWouldCross, ReduceOnlyRejected, DuplicateOrder: the paper exchange refused.
            RiskRejected, TradingHalted: the guards refused.
        """
        request = OrderRequest(
            symbol=symbol,
            side=side,
            kind=kind,
            size=size,
            cost=cost,
            price=price,
            tif=tif,
            trigger=trigger,
            trigger_by=trigger_by,
            reduce_only=reduce_only,
            position_side=position_side,
            expires=expires,
            client_id=client_id,
            round_size=round_size,
            take_profit=take_profit,
            stop_loss=stop_loss,
        )
        instrument = await self._ensure(symbol)
        order = self._checked(request, instrument)
        if validate:
            return self._pending(order, instrument)
        return await self._travel(lambda: self._arrived(order, instrument))

    def submit(self, request: OrderRequest) -> Order:
        """Send one paper order without waiting: for callers that are no coroutines, a sink for example.

        It meets the market when it arrives; what becomes of it comes as an event. What the exchange refuses then is
        told as ``rejected``.

        Raises:
            ConfigError, Unsupported, MarketClosed, InvalidOrder, RiskRejected, TradingHalted: refused at once.
        """
        instrument = self.instrument(request.symbol)
        return self._send_order(self._checked(request, instrument), instrument)

    async def place_many(self, requests: Sequence[OrderRequest]) -> list[Order | UnitapeError]:
        """Place several, one after the other; one result each.

        Raises:
            ConfigError, Unsupported, InvalidOrder, RiskRejected, TradingHalted: one is wrong; none was placed.
        """
        prepared: list[tuple[NewOrder, Instrument]] = []
        for request in requests:
            instrument = await self._ensure(request.symbol)
            prepared.append((self._checked(request, instrument), instrument))
        self._guard.check([order for order, _ in prepared])
        results: list[Order | UnitapeError] = []
        for order, instrument in prepared:
            try:
                results.append(await self._travel(partial(self._arrived, order, instrument)))
            except UnitapeError as error:
                results.append(error)
        return results

    def _arrived(self, order: NewOrder, instrument: Instrument) -> Order:
        """An order has come to the market; what was on its way when trading halted goes no further."""
        self._guard.guards.switch.require_open("an order")
        return self.exchange.place(order, instrument)

    def _pending(self, order: NewOrder, instrument: Instrument) -> Order:
        """Return an order that is on its way."""
        shown = PaperOrder(0, order, instrument, 0).shown(self.exchange.venue, self._now)
        return structs.replace(shown, id=None, status="pending", origin="answer", raw_status="")

    def _checked(self, request: OrderRequest, instrument: Instrument) -> NewOrder:
        client_id = self._ids.new() if request.client_id is None else self._ids.check(request.client_id)
        order = build_order(request, client_id, instrument)
        check_order(order, instrument, self.spec(request.symbol), self._account_settings(request.symbol))
        self._guard.check((order,))
        return order

    async def cancel(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's name in the contract
        client_id: str | None = None,
        conditional: bool = False,
    ) -> Order | None:
        """Cancel one order.

        Raises:
            OrderNotFound: there is no such open order when the cancel arrives.
        """
        ref = _named(symbol, id, client_id)
        return await self._travel(lambda: self.exchange.cancel(self.exchange.find(ref)))

    async def cancel_many(self, orders: Sequence[Order | OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel several; one result each, in their order."""
        results: list[Order | UnitapeError | None] = []
        for one in orders:
            ref = as_ref(one)
            try:
                results.append(await self.cancel(ref.symbol, id=ref.id, client_id=ref.client_id))
            except UnitapeError as error:
                results.append(error)
        return results

    async def cancel_all(self, symbol: str | None = None, *, market: str | None = None) -> list[CancelAllResult]:
        """Cancel all open orders of a symbol, a market or the whole account; one result per market."""
        return await self._travel(lambda: self.cancel_open(symbol, market))

    def cancel_open(self, symbol: str | None = None, market: str | None = None) -> list[CancelAllResult]:
        """Cancel at once what is open."""
        results: list[CancelAllResult] = []
        for name, account in self.exchange.accounts.items():
            if market in (None, name):
                chosen = [one for one in list(account.orders.values()) if symbol in (None, one.new.symbol)]
                results.append(CancelAllResult(name, True, tuple(self.exchange.cancel(one) for one in chosen)))
        return results

    async def amend(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
        price: Number | None = None,
        size: Number | None = None,
        side: Side | None = None,
        conditional: bool = False,
    ) -> Order:
        """Change price or size of an open order. It loses its place in the queue unless only its size shrinks.

        Raises:
            Unsupported, ConfigError, InvalidOrder, RiskRejected, TradingHalted: refused here.
            OrderNotFound, InsufficientFunds, PostOnlyWouldCross: the order stands as it was, if it stands.
        """
        ref = _named(symbol, id, client_id)
        new_price = None if price is None else exact_number(price, "price")
        new_size = None if size is None else exact_number(size, "size")
        check_amendment(new_price, new_size, self.instrument(symbol), self.spec(symbol))
        self._guard.check_amendment(Amendment(ref, new_size, new_price, side))
        return await self._travel(lambda: self.exchange.amend(self.exchange.find(ref), new_size, new_price))

    async def replace(self, old: Order | OrderRef, request: OrderRequest) -> Replaced:
        """Cancel an order and, only if that succeeds, place another of the same symbol; both arrive at once.

        Raises:
            Unsupported: the live market has no such request (``spec(symbol).replace``); cancel and place.
            ConfigError, InvalidOrder, RiskRejected, TradingHalted: refused here; nothing has changed.
            OrderNotFound: there is no such open order when it arrives; nothing was placed.
        """
        ref = as_ref(old)
        if ref.symbol != request.symbol:
            raise ConfigError(f"an order of {ref.symbol} cannot make way for one of {request.symbol}")
        if not self.spec(request.symbol).replace:
            raise Unsupported(f"the market of {request.symbol} replaces no orders: cancel one and place another")
        instrument = await self._ensure(request.symbol)
        order = self._checked(request, instrument)

        def act() -> Replaced:
            self._guard.guards.switch.require_open("a replacement")
            gone = self.exchange.cancel(self.exchange.find(ref))
            try:
                return Replaced(gone, self.exchange.place(order, instrument))
            except UnitapeError as error:
                return Replaced(gone, error)

        return await self._travel(act)

    # Asking: answers take no time, for they change nothing

    async def order(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
        conditional: bool = False,
    ) -> Order:
        """Return one order.

        Raises:
            OrderNotFound: there is none.
        """
        return self._shown([self.exchange.find(_named(symbol, id, client_id)).shown(self.exchange.venue, self._now)])[0]

    async def open_orders(self, symbol: str | None = None, *, market: str | None = None) -> list[Order]:
        """Return open orders, those that wait for a trigger included."""
        orders = [one for one in self.exchange.open_orders(symbol) if market in (None, one.instrument.market)]
        return self._shown([one.shown(self.exchange.venue, self._now) for one in orders])

    async def order_history(
        self, symbol: str | None = None, *, market: str | None = None, start: int | None = None, end: int | None = None
    ) -> list[Order]:
        """Return orders made in [start, end] nanoseconds, oldest first."""
        return self._shown(
            [
                one.shown(self.exchange.venue, self._now)
                for one in self.exchange.orders.values()
                if symbol in (None, one.new.symbol)
                and market in (None, one.instrument.market)
                and (start or 0) <= one.ts_created
                and (end is None or one.ts_created <= end)
            ]
        )

    async def fills(
        self,
        symbol: str | None = None,
        *,
        market: str | None = None,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[Fill]:
        """Return executions in [start, end] nanoseconds, oldest first."""
        return [
            structs.replace(fill, origin="query")
            for fill in self.exchange.fills
            if symbol in (None, fill.symbol)
            and order_id in (None, fill.order_id)
            and (market is None or self.instrument(fill.symbol).market == market)
            and (start or 0) <= fill.ts_event
            and (end is None or fill.ts_event <= end)
        ]

    async def balances(self, market: str | None = None) -> list[Balance]:
        """Return what is held."""
        return [balance for balance in self._view.balances() if market in (None, balance.market)]

    async def positions(self, symbol: str | None = None, *, market: str | None = None) -> list[Position]:
        """Return open positions."""
        found = self._view.positions(symbol)
        return [one for one in found if market is None or self.instrument(one.symbol).market == market]

    def account_state(self) -> list[AccountEvent]:
        """Return how everything stands, as events."""
        return [*self._view.open_orders(), *self._view.balances(), *self._view.positions()]

    # Settings

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of a symbol.

        Raises:
            Unsupported: it has no positions.
            ConfigError: it is no whole number from 1 up.
        """
        if ":" not in symbol:
            raise Unsupported(f"{symbol} is spot and has no leverage")
        if isinstance(leverage, bool) or not isinstance(leverage, int) or leverage < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"leverage must be a whole number from 1 up, not {leverage!r}")
        self.exchange.account(await self._ensure(symbol)).leverage[symbol] = Decimal(leverage)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Paper positions are cross margined.

        Raises:
            Unsupported: isolated margin.
        """
        if mode != "cross" or ":" not in symbol:
            raise Unsupported(f"paper trading has no {mode} margin on {symbol}")

    async def set_position_mode(self, mode: PositionMode, *, market: str | None = None) -> None:
        """The position mode is a setting of the paper account, fixed when it is made.

        Raises:
            Unsupported: it is another.
        """
        if mode != self.settings.position_mode:
            decided = self.settings.position_mode or "the market's usual"
            raise Unsupported(f"this paper account is in {decided} mode: PaperSettings decides")

    async def close_position(self, symbol: str, side: PositionSide | None = None) -> Order | None:
        """Close a position at the market by a reduce-only order.

        Raises:
            NoChange: there is none.
        """
        instrument = await self._ensure(symbol)
        check_position_side(side, instrument, self.spec(symbol), self._account_settings(symbol))
        found = [one for one in self._view.positions(symbol) if side in (None, one.side)]
        if not found:
            raise NoChange(f"no open {side or ''} position in {symbol}".replace("  ", " "), venue=self.exchange.venue)
        held = found[0]
        return await self.place(
            symbol,
            "sell" if held.side == "long" else "buy",
            "market",
            size=held.size,
            reduce_only=True,
            position_side=side,
        )

    @property
    def _now(self) -> int:
        return self.exchange.now

    def _shown(self, orders: list[Order]) -> list[Order]:
        return [structs.replace(order, origin="query") for order in orders]


def _named(symbol: str, id: str | None, client_id: str | None) -> OrderRef:  # noqa: A002
    if not id and not client_id:
        raise ConfigError("name the order by id or by client_id")
    return OrderRef(symbol, id or None, client_id or None)
